//! What came before cuts of histories, on every scale.
#![no_main]

use diffrec::timeline::{Clock, Scale, Timeline};
use diffrec_fuzz::{Rows, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (
    Rows,
    Vec<i32>,
    Vec<f64>,
    Vec<(i16, u8)>,
    Vec<(u8, f64)>,
    (bool, Option<f64>, Vec<f64>)
)| {
    let (rows, spoilt, given, which, scales, (repeats, now, usual)) = input;
    let matrix = rows.csr();
    let mut baskets = matrix.baskets();
    for (basket, given) in baskets.iter_mut().rev().zip(&spoilt) {
        *basket = *given;
    }
    let mut times: Vec<f64> = baskets.iter().map(|&basket| f64::from(basket)).collect();
    for (time, given) in times.iter_mut().rev().zip(&given) {
        *time = *given;
    }
    let mut intervals = vec![1.0; matrix.columns];
    for (interval, given) in intervals.iter_mut().rev().zip(&usual) {
        *interval = *given;
    }
    intervals.truncate(if usual.len() == 7 { 7 } else { matrix.columns });
    let kinds = ["interactions", "seconds", "even", "had", "often", "ago", "due", "usual"];
    let scales: Vec<Scale> = scales
        .iter()
        .filter_map(|&(kind, tau)| Scale::new(kinds[usize::from(kind) % 8], tau).ok())
        .take(9)
        .collect();
    let (which, cuts): (Vec<i16>, Vec<i64>) = which.iter().map(|&(row, cut)| (row, i64::from(cut))).unzip();
    let Ok(timeline) = Timeline::new(&matrix.indptr, &matrix.indices, &baskets) else { return };
    let timeline = timeline.with_repeats(repeats);
    let clock = Clock { times: &times, now, intervals: &intervals };
    if let Ok(seen) = timeline.before(clock, matrix.columns, &places(&which), &cuts, &scales) {
        assert_eq!(seen.indptr.len(), cuts.len() + 1);
        assert_eq!(seen.indices.len(), seen.data.len());
        assert!(seen.indices.iter().all(|&column| (column as usize) < matrix.columns * scales.len()));
    }
});

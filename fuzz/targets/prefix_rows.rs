//! What came before cuts of histories, on every scale.
#![no_main]

use diffrec::timeline::{Scale, Timeline};
use diffrec_fuzz::{Rows, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i32>, Vec<f64>, Vec<(i16, u8)>, Vec<(u8, f64)>, (bool, Option<f64>))| {
    let (rows, spoilt, given, which, scales, (repeats, now)) = input;
    let matrix = rows.csr();
    let mut baskets = matrix.baskets();
    for (basket, given) in baskets.iter_mut().rev().zip(&spoilt) {
        *basket = *given;
    }
    let mut times: Vec<f64> = baskets.iter().map(|&basket| f64::from(basket)).collect();
    for (time, given) in times.iter_mut().rev().zip(&given) {
        *time = *given;
    }
    let kinds = ["interactions", "seconds", "even", "had", "often", "ago", "due"];
    let scales: Vec<Scale> = scales
        .iter()
        .filter_map(|&(kind, tau)| Scale::new(kinds[usize::from(kind) % 7], tau).ok())
        .take(9)
        .collect();
    let (which, cuts): (Vec<i16>, Vec<i64>) = which.iter().map(|&(row, cut)| (row, i64::from(cut))).unzip();
    let Ok(timeline) = Timeline::new(&matrix.indptr, &matrix.indices, &baskets) else { return };
    let timeline = timeline.with_repeats(repeats);
    if let Ok(seen) = timeline.before(&times, matrix.columns, &places(&which), &cuts, &scales, now) {
        assert_eq!(seen.indptr.len(), cuts.len() + 1);
        assert_eq!(seen.indices.len(), seen.data.len());
        assert!(seen.indices.iter().all(|&column| (column as usize) < matrix.columns * scales.len()));
    }
});

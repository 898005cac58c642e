//! What came after cuts of histories.
#![no_main]

use diffrec::timeline::Timeline;
use diffrec_fuzz::{Rows, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i32>, Vec<(i16, u8)>, u64, [bool; 2])| {
    let (rows, spoilt, which, horizon, [repeats, fresh]) = input;
    let matrix = rows.csr();
    let mut baskets = matrix.baskets();
    for (basket, given) in baskets.iter_mut().rev().zip(&spoilt) {
        *basket = *given;
    }
    let (which, cuts): (Vec<i16>, Vec<i64>) = which.iter().map(|&(row, cut)| (row, i64::from(cut))).unzip();
    let Ok(timeline) = Timeline::new(&matrix.indptr, &matrix.indices, &baskets) else { return };
    let timeline = timeline.with_repeats(repeats);
    if let Ok(next) = timeline.after(matrix.columns, &places(&which), &cuts, horizon as usize, fresh) {
        assert_eq!(next.indptr.len(), cuts.len() + 1);
        assert!(next.indices.iter().all(|&item| (item as usize) < matrix.columns));
    }
});

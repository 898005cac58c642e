//! Sums over the pairs of ranked lists.
#![no_main]

use diffrec::neighbors::Walk;
use diffrec_fuzz::{Rows, filled};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<f32>, Vec<i16>, u8)| {
    let (rows, right, listed, length) = input;
    let matrix = rows.csr();
    let right = filled(&right, matrix.indices.len());
    let Ok(walk) = Walk::new(&matrix.indptr, &matrix.indices, &matrix.data, &right, matrix.columns) else {
        return;
    };
    let length = usize::from(length);
    let mut lists: Vec<i32> = listed.into_iter().map(i32::from).collect();
    lists.truncate(lists.len() / length.max(1) * length);
    if let Ok(sums) = walk.pair_sums(&lists, length, &|| false) {
        assert_eq!(sums.len(), lists.len());
        // Before the first of a list there is nothing.
        assert!(sums.iter().step_by(length.max(1)).all(|&sum| sum == 0.0));
    }
});

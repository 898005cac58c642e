//! Sums over the pairs of ranked lists, against the product term by term.
#![no_main]

use diffrec::neighbors::Walk;
use diffrec_fuzz::{Rows, filled, plain_likeness};
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
        let likeness = plain_likeness(&matrix, &right);
        for (place, &sum) in sums.iter().enumerate() {
            let before = lists[place - place % length.max(1)..place].iter();
            let terms = before.map(|&other| likeness.get(&(lists[place], other)).copied().unwrap_or(0.0));
            assert_eq!(sum, terms.sum::<f64>());
        }
    }
});

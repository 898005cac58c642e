//! Cuts between the baskets of histories.
#![no_main]

use diffrec::timeline::draw_cuts;
use diffrec_fuzz::{Rows, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i32>, Vec<i16>, u64, u64)| {
    let matrix = input.0.csr();
    // Baskets as they should be, after which some are spoilt.
    let mut baskets = matrix.baskets();
    for (basket, given) in baskets.iter_mut().rev().zip(&input.1) {
        *basket = *given;
    }
    let rows = places(&input.2);
    if let Ok(cuts) = draw_cuts(&matrix.indptr, &baskets, &rows, input.3, input.4) {
        for (&cut, &row) in cuts.iter().zip(&rows) {
            let own =
                &baskets[matrix.indptr[row as usize] as usize..matrix.indptr[row as usize + 1] as usize];
            let cut = cut as usize;
            assert!(cut == own.len() || cut > 0 && cut < own.len() && own[cut - 1] != own[cut]);
        }
    }
});

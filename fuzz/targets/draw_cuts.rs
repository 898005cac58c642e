//! Cuts between the baskets of histories.
#![no_main]

use diffrec::timeline::draw_cuts;
use diffrec_fuzz::{Rows, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i32>, Vec<(i16, i16)>, u8, u64, u64)| {
    let matrix = input.0.csr();
    // Baskets as they should be, after which some are spoilt.
    let mut baskets = matrix.baskets();
    for (basket, given) in baskets.iter_mut().rev().zip(&input.1) {
        *basket = *given;
    }
    let (rows, asked): (Vec<i16>, Vec<i16>) = input.2.iter().copied().unzip();
    let (rows, asked, most) = (places(&rows), places(&asked), usize::from(input.3));
    if let Ok(cuts) = draw_cuts(&matrix.indptr, &baskets, &rows, &asked, most, input.4, input.5) {
        for (at, (&cut, &row)) in cuts.iter().zip(&rows).enumerate() {
            let own =
                &baskets[matrix.indptr[row as usize] as usize..matrix.indptr[row as usize + 1] as usize];
            let cut = cut as usize;
            assert!(cut == own.len() || cut > 0 && cut < own.len() && own[cut - 1] != own[cut]);
            // Two places of a user are two cuts, in their order.
            for earlier in (0..at).filter(|&earlier| rows[earlier] == row) {
                assert_eq!(asked[earlier].cmp(&asked[at]), cuts[earlier].cmp(&cuts[at]));
            }
        }
    }
});

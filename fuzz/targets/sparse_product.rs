//! A block of columns of the product of two sparse matrices, against the plain sum.
#![no_main]

use diffrec::csr::Sparse;
use diffrec::products::multiply_block;
use diffrec_fuzz::{Rows, plain_product};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = ["indptr", "indices", "data"];

fuzz_target!(|input: (Rows, Rows, u64, u8)| {
    let (left, right) = (input.0.csr().with_small_values(), input.1.csr().with_small_values());
    let (first, width) = (input.2 as usize, usize::from(input.3));
    let Ok(a) = Sparse::new(NAMES, &left.indptr, &left.indices, &left.data) else { return };
    let Ok(b) = Sparse::new(NAMES, &right.indptr, &right.indices, &right.data) else { return };
    let mut out = vec![7.0; a.indptr().rows() * width];
    if multiply_block(&a, &b, first, width, &mut out).is_err() {
        return;
    }
    // What comes before the block is passed over by halves, unseen.
    let ascends = |row| b.row(row).is_ok_and(|(columns, _)| columns.is_sorted());
    if !(0..b.indptr().rows()).all(ascends) {
        return;
    }
    let row = |row: usize| {
        let (columns, values) = b.row(row).expect("it was multiplied");
        columns.iter().map(|&column| column as usize).zip(values.iter().copied()).collect()
    };
    assert_eq!(out, plain_product(&a, row, first, width));
});

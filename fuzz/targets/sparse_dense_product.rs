//! A block of columns of the product of a sparse and a dense matrix, against the plain sum.
#![no_main]

use diffrec::csr::Sparse;
use diffrec::products::{Dense, multiply_block};
use diffrec_fuzz::{Rows, filled, plain_product};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<f32>, u64, [u8; 2])| {
    let (left, first, [columns, width]) =
        (input.0.csr().with_small_values(), input.2 as usize, input.3.map(usize::from));
    let small = |value: &f32| (value.to_bits() % 64) as f32;
    let right: Vec<f32> = filled(&input.1, left.columns * columns).iter().map(small).collect();
    let names = ["indptr", "indices", "data"];
    let Ok(left) = Sparse::new(names, &left.indptr, &left.indices, &left.data) else { return };
    let Ok(dense) = Dense::new("right", &right, columns) else { return };
    let mut out = vec![7.0; left.indptr().rows() * width];
    if multiply_block(&left, &dense, first, width, &mut out).is_ok() && width > 0 {
        let row = |row: usize| right[row * columns..][..columns].iter().copied().enumerate().collect();
        assert_eq!(out, plain_product(&left, row, first, width));
    }
});

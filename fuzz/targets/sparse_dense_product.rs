//! A block of columns of the product of a sparse and a dense matrix.
#![no_main]

use diffrec::csr::Sparse;
use diffrec::products::{Dense, multiply_block};
use diffrec_fuzz::{Rows, filled};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<f32>, u64, [u8; 2])| {
    let (left, first, [columns, width]) = (input.0.csr(), input.2 as usize, input.3.map(usize::from));
    let right = filled(&input.1, left.columns * columns);
    let names = ["indptr", "indices", "data"];
    let Ok(left) = Sparse::new(names, &left.indptr, &left.indices, &left.data) else { return };
    let Ok(right) = Dense::new("right", &right, columns) else { return };
    let mut out = vec![7.0; left.indptr().rows() * width];
    let _ = multiply_block(&left, &right, first, width, &mut out);
});

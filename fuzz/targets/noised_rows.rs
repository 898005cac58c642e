//! Training batches, in both of their formats.
#![no_main]

use diffrec::csr::Sparse;
use diffrec::noised::{Bf16, Cell, Noising, noised_rows};
use diffrec_fuzz::{Rows, filled, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i16>, Vec<f32>, (bool, f32), (u64, u32), u8, (Option<Vec<i64>>, u64))| {
    let (rows, which, factors, (normalize, dropout), (seed, step), spoilt, (mut keys, first)) = input;
    let (matrix, mut which) = (rows.csr(), places(&which));
    which.truncate(16);
    if let Some(keys) = keys.as_mut().filter(|_| spoilt != 8) {
        keys.resize(which.len(), 1 << 40);
    }
    let Ok(view) = Sparse::new(["indptr", "indices", "data"], &matrix.indptr, &matrix.indices, &matrix.data)
    else {
        return;
    };
    let factors = filled(&factors, 2 * which.len());
    let (signal, spread) = factors.split_at(which.len());
    let noising = Noising {
        signal,
        spread,
        normalize,
        dropout,
        seed,
        step,
        keys: keys.as_deref(),
        first: first as usize,
    };
    let size = which.len() * matrix.columns + usize::from(spoilt == 7);
    let (mut wide, mut narrow) = (vec![0.0_f32; size], vec![Bf16(0); size]);
    let made = noised_rows(&view, &which, &noising, &mut wide, matrix.columns);
    assert_eq!(made, noised_rows(&view, &which, &noising, &mut narrow, matrix.columns));
    let same = |(narrow, wide): (&Bf16, &f32)| wide.is_nan() || *narrow == Bf16::nearest(*wide);
    assert!(made.is_err() || narrow.iter().zip(&wide).all(same));
});

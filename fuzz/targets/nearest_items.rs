//! The items most like each item, against the product term by term.
#![no_main]

use diffrec::neighbors::Walk;
use diffrec_fuzz::{Rows, filled, plain_likeness};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<f32>, u64, bool, u8)| {
    let (rows, right, k, itself, spoilt) = input;
    let matrix = rows.csr();
    let right = filled(&right, matrix.indices.len() + usize::from(spoilt == 7));
    let Ok(walk) = Walk::new(&matrix.indptr, &matrix.indices, &matrix.data, &right, matrix.columns) else {
        return;
    };
    if let Ok(found) = walk.nearest(k as usize, itself, &|| false) {
        assert_eq!(found.indptr.len(), matrix.columns + 1);
        let likeness = plain_likeness(&matrix, &right);
        for (item, bounds) in found.indptr.windows(2).enumerate() {
            let item = item as i32;
            let mut expected: Vec<(i32, f32)> = likeness
                .range((item, 0)..=(item, i32::MAX))
                .map(|(&(_, other), &value)| (other, value as f32))
                .filter(|&(other, value)| value != 0.0 && (itself || other != item))
                .collect();
            expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            expected.truncate(k as usize);
            expected.sort_by_key(|&(other, _)| other);
            let near = bounds[0] as usize..bounds[1] as usize;
            assert!(near.clone().map(|at| (found.indices[at], found.data[at])).eq(expected));
        }
    }
});

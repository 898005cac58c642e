//! The items most like each item.
#![no_main]

use diffrec::neighbors::Walk;
use diffrec_fuzz::{Rows, filled};
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
        for (item, bounds) in found.indptr.windows(2).enumerate() {
            let near = &found.indices[bounds[0] as usize..bounds[1] as usize];
            assert!(near.len() as u64 <= k && near.is_sorted_by(|a, b| a < b));
            assert!(itself || !near.contains(&(item as i32)));
        }
    }
});

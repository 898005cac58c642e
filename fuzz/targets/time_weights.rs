//! Weights of interactions by their age.
#![no_main]

use diffrec::time_weight::{Decay, TimeWeight, time_weights};
use diffrec_fuzz::Rows;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<f64>, u8, [f64; 3], bool)| {
    let (rows, given, decay, [w_min, w_max, half_life], clock) = input;
    let matrix = rows.csr();
    let stamps: Vec<f64> = given.iter().copied().chain([1.0]).cycle().take(matrix.indices.len()).collect();
    let decay = [Decay::Linear, Decay::Exponential, Decay::Power][usize::from(decay) % 3];
    let Ok(weight) = TimeWeight::new(decay, w_min, w_max, half_life, clock) else { return };
    if let Ok(weights) = time_weights(&matrix.indptr, &stamps, &weight) {
        assert_eq!(weights.len(), stamps.len());
        let (low, high) = (w_min as f32, w_max as f32);
        // Within rounding of single precision.
        let slack = 1e-6 * high;
        assert!(
            weights.iter().all(|weight| (low - slack..=high + slack).contains(weight) || high.is_infinite())
        );
    }
});

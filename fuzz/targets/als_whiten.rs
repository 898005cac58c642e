//! Factors in the coordinates in which their Gram matrix is the identity.
#![no_main]

use diffrec::als::whiten;
use diffrec::simd::padded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<f32>, u8, f64)| {
    let (factors, width, l2) = (&input.0, usize::from(input.1), input.2);
    if let Ok(whitened) = whiten(factors, width, l2, &|| false) {
        assert_eq!(whitened.back.len(), width * width);
        assert_eq!(whitened.factors.len(), factors.len() / width * padded(width));
    }
});

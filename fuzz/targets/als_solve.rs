//! Half a step of alternating least squares, by both solvers.
#![no_main]

use diffrec::als::{HalfStep, Solver, whiten};
use diffrec::csr::CsrView;
use diffrec_fuzz::{Rows, filled};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<f32>, u8, f32, Option<u8>, [bool; 2])| {
    let (rows, given, width, alpha, steps, [raw, spoilt]) = input;
    let (matrix, width) = (rows.csr(), usize::from(width) % 40 + 1);
    let factors = filled(&given, matrix.columns * width);
    let Ok(mut fixed) = whiten(&factors, width, 1.0, &|| false) else { return };
    if raw {
        // Any numbers, not those that whitening gives.
        fixed.factors = filled(&given, fixed.factors.len() + usize::from(spoilt));
        fixed.back = filled(&given, fixed.back.len());
    }
    let solver = steps.map_or(Solver::Exact, |steps| Solver::ConjugateGradient(usize::from(steps)));
    let shape = (matrix.rows(), matrix.columns);
    let Ok(confidence) = CsrView::signed(&matrix.indptr, &matrix.indices, &matrix.data, shape) else {
        return;
    };
    let Ok(step) = HalfStep::new(confidence, alpha, (&fixed.factors, &fixed.back), solver) else { return };
    let mut out = vec![0.0; shape.0 * width];
    let solved = step.solve(&mut out, &|| false);
    // With no confidence below 1 every system is positive definite, and far from the ends of single precision.
    let moderate =
        |values: &[f32], least: f32| values.iter().all(|value| (least..10.0).contains(&value.abs()));
    let sound = !raw && moderate(&[alpha], 0.1) && moderate(&given, 0.0);
    assert!(solved.is_ok() || !sound || !moderate(&matrix.data, alpha.recip()));
    assert!(solved.is_err() || out.iter().all(|value| value.is_finite()));
});

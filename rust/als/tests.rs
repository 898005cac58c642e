use proptest::prelude::*;

use super::*;
use crate::csr::offsets;

/// `(rows, columns)` of confidences and `(columns, width)` of factors.
#[derive(Debug)]
struct Problem {
    values: Vec<Vec<(i32, f32)>>,
    factors: Vec<f32>,
    columns: usize,
    width: usize,
    l2: f64,
}

impl Problem {
    fn csr(&self) -> (Vec<i64>, Vec<i32>, Vec<f32>) {
        let (indptr, entries) = (offsets(self.values.iter().map(Vec::len)), self.values.concat());
        (indptr, entries.iter().map(|entry| entry.0).collect(), entries.iter().map(|entry| entry.1).collect())
    }

    /// The same at every level but for rounding.
    fn solve(&self, alpha: f32, solver: Solver) -> (Vec<f32>, f64) {
        let (first, loss) = self.solve_at(Level::available()[0], alpha, solver);
        for level in Level::available() {
            let (found, other) = self.solve_at(level, alpha, solver);
            for (a, b) in found.iter().zip(&first) {
                assert!((a - b).abs() < 1e-3, "{level} {a} {b}");
            }
            assert!((other - loss).abs() <= 1e-3 * (1.0 + loss), "{level} {other} {loss}");
        }
        (first, loss)
    }

    fn solve_at(&self, level: Level, alpha: f32, solver: Solver) -> (Vec<f32>, f64) {
        let (indptr, indices, data) = self.csr();
        let confidence =
            CsrView::signed(&indptr, &indices, &data, (self.values.len(), self.columns)).expect("sound");
        let fixed = whiten(&self.factors, self.width, self.l2, &|| false).expect("l2 is positive");
        let step = HalfStep::new(confidence, alpha, (&fixed.factors, &fixed.back), solver).expect("sound");
        let mut out = vec![f32::NAN; self.values.len() * self.width];
        let loss = step.solve_at(level, &mut out, &|| false).expect("not interrupted");
        (out, loss)
    }

    /// What a row's factors leave of the objective, term by term.
    fn objective(&self, row: usize, alpha: f32, x: &[f32]) -> f64 {
        let mut loss: f64 = x.iter().map(|&x| self.l2 * f64::from(x).powi(2)).sum();
        for (column, y) in self.factors.chunks(self.width).enumerate() {
            let product: f64 = x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            let stored = self.values[row].iter().find(|entry| entry.0 as usize == column);
            loss += stored.map_or(product.powi(2), |&(_, value)| {
                let liked = f64::from(u8::from(value >= 0.0));
                f64::from(alpha) * f64::from(value.abs()) * (liked - product).powi(2)
            });
        }
        loss
    }
}

fn problem() -> impl Strategy<Value = Problem> {
    (1..20_usize, 1..40_usize).prop_flat_map(|(width, columns)| {
        let row = prop::collection::btree_map(0..columns as i32, -3.0..3.0_f32, 0..=columns);
        (
            prop::collection::vec(row, 0..40),
            prop::collection::vec(-1.0..1.0_f32, columns * width),
            prop_oneof![Just(0.1), Just(10.0)],
        )
            .prop_map(move |(values, factors, l2)| {
                let values = values.into_iter().map(|row| row.into_iter().collect()).collect();
                Problem { values, factors, columns, width, l2 }
            })
    })
}

proptest! {
    #[test]
    fn the_exact_solution_is_the_minimum(problem in problem(), alpha in prop_oneof![Just(0.4_f32), Just(5.0)]) {
        let (solution, loss) = problem.solve(alpha, Solver::Exact);
        let mut total = 0.0;
        for (row, x) in solution.chunks(problem.width).enumerate() {
            let least = problem.objective(row, alpha, x);
            total += least;
            for lane in 0..problem.width {
                for change in [-0.02, 0.02] {
                    let mut other = x.to_vec();
                    other[lane] += change;
                    prop_assert!(problem.objective(row, alpha, &other) > least - 1e-4 * (1.0 + least));
                }
            }
        }
        prop_assert!((loss - total).abs() <= 1e-3 * (1.0 + total), "{loss} {total}");
    }

    #[test]
    fn conjugate_gradients_approach_it(problem in problem(), alpha in prop_oneof![Just(0.4_f32), Just(5.0)]) {
        let (exact, least) = problem.solve(alpha, Solver::Exact);
        let (close, loss) = problem.solve(alpha, Solver::ConjugateGradient(40));
        for (a, b) in exact.iter().zip(&close) {
            prop_assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
        prop_assert!((loss - least).abs() <= 1e-3 * (1.0 + least), "{loss} {least}");
        let (first, loss) = problem.solve(alpha, Solver::ConjugateGradient(1));
        prop_assert!(loss >= least - 1e-3 * (1.0 + least));
        let rows = first.chunks(problem.width).enumerate();
        let total: f64 = rows.map(|(row, x)| problem.objective(row, alpha, x)).sum();
        prop_assert!((loss - total).abs() <= 1e-3 * (1.0 + total), "{loss} {total}");
    }
}

#[test]
fn rows_that_are_gathered_in_pieces_are_solved_as_others_are() {
    let (columns, width) = (GRAM_ROWS + 90, 3);
    let row = (0..columns as i32).map(|column| (column, (column % 7) as f32 - 1.5)).collect();
    let factors = (0..columns * width).map(|i| ((i * 31 % 97) as f32 - 48.0) / 97.0).collect();
    let problem = Problem { values: vec![row], factors, columns, width, l2: 1.0 };
    let (exact, close) =
        (problem.solve(2.0, Solver::Exact), problem.solve(2.0, Solver::ConjugateGradient(40)));
    assert!(exact.0.iter().zip(&close.0).all(|(a, b)| (a - b).abs() < 1e-3), "{exact:?} {close:?}");
    assert!((problem.objective(0, 2.0, &exact.0) / exact.1 - 1.0).abs() < 1e-3);
}

#[test]
fn whitening_makes_the_gram_matrix_the_identity() {
    // More than are summed in one round.
    let (width, rows) = (5, if cfg!(miri) { 600 } else { 64 * GRAM_ROWS + 300 });
    let factors: Vec<f32> = (0..width * rows).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
    let whitened = whiten(&factors, width, 2.0, &|| false).expect("sound");
    let stride = padded(width);
    assert_eq!((whitened.factors.len(), whitened.back.len()), (rows * stride, width * width));
    assert!(whitened.factors.chunks(stride).all(|row| row[width..].iter().all(|&value| value == 0.0)));
    // The l2 is in the identity too: V'V + l2 L^-1 L^-T.
    for i in 0..width {
        for j in 0..width {
            let gram: f64 =
                whitened.factors.chunks(stride).map(|row| f64::from(row[i]) * f64::from(row[j])).sum();
            let rows = (&whitened.back[i * width..], &whitened.back[j * width..]);
            let rest: f64 = (0..width).map(|k| 2.0 * f64::from(rows.0[k]) * f64::from(rows.1[k])).sum();
            assert!((gram + rest - f64::from(u8::from(i == j))).abs() < 1e-5, "{i} {j} {gram} {rest}");
        }
    }
}

#[test]
fn broken_promises() {
    for l2 in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            matches!(whiten(&[1.0], 1, l2, &|| false), Err(Error::Setting { argument: "l2", .. })),
            "{l2}"
        );
    }
    assert_eq!(
        whiten(&[1.0; 5], 2, 1.0, &|| false),
        Err(Error::Length { argument: "factors", got: 5, expected: 4 })
    );
    assert!(matches!(whiten(&[], 0, 1.0, &|| false), Err(Error::Setting { argument: "factors", .. })));
    for value in [f32::NAN, f32::INFINITY, f32::MAX] {
        assert_eq!(
            whiten(&[value], 1, 1.0, &|| false),
            Err(Error::Singular { argument: "factors" }),
            "{value}"
        );
    }

    // In either pass over the rows.
    for patience in 0..4 {
        let asked = std::cell::Cell::new(0);
        let should_stop = || asked.replace(asked.get() + 1) >= patience;
        assert_eq!(whiten(&[1.0, 2.0], 2, 1.0, &should_stop), Err(Error::Interrupted));
    }

    let confidence = CsrView::new(&[0, 1], &[1], &[1.0], (1, 2)).expect("sound");
    let fixed = whiten(&[1.0, 2.0], 1, 1.0, &|| false).expect("sound");
    let (factors, back) = (&fixed.factors[..], &fixed.back[..]);
    let make = |alpha, factors, back| HalfStep::new(confidence, alpha, (factors, back), Solver::Exact).err();
    assert_eq!(make(1.0, factors, back), None);
    for alpha in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(
            matches!(make(alpha, factors, back), Some(Error::Setting { argument: "alpha", .. })),
            "{alpha}"
        );
    }
    let error = Error::Length { argument: "whitened", got: 31, expected: 32 };
    assert_eq!(make(1.0, &factors[1..], back), Some(error));
    assert!(matches!(make(1.0, factors, &[1.0; 2]), Some(Error::Length { argument: "back", .. })));
    let step = HalfStep::new(confidence, 1.0, (factors, back), Solver::Exact).expect("sound");
    let error = Error::Length { argument: "out", got: 2, expected: 1 };
    assert_eq!(step.solve(&mut [0.0; 2], &|| false), Err(error));
    assert_eq!(step.solve(&mut [0.0], &|| true), Err(Error::Interrupted));
    // Finite values and factors whose products are not, in one row of many, and a way back that is too far.
    let indptr: Vec<i64> = (0..=100).collect();
    let (huge, small) = (f32::MAX.sqrt() * 10.0, [0.5; 100]);
    let mut values = small;
    values[70] = f32::MAX;
    for (value, factor, far) in [(&values, 1.0, 1.0), (&small, huge, 1.0), (&small, 1.0, f32::MAX)] {
        let confidence = CsrView::new(&indptr, &[0; 100], value, (100, 1)).expect("sound");
        let back = [far * 10.0];
        let mut factors = vec![0.0; padded(1)];
        factors[0] = factor;
        for solver in [Solver::Exact, Solver::ConjugateGradient(3)] {
            let step = HalfStep::new(confidence, 4.0, (&factors, &back), solver).expect("sound");
            assert_eq!(step.solve(&mut [0.0; 100], &|| false), Err(Error::Singular { argument: "matrix" }));
        }
    }
}

//! Small dense algebra: what a least-squares problem per user needs, on matrices a few hundred wide, row-major.

#![expect(clippy::inline_always, reason = "only inlined is a loop compiled for its caller's instructions")]

use std::array::from_fn;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::simd::{Vector, padded};

/// Inner products of each of `rows` with `x`; all are padded to the same length.
#[inline(always)]
#[must_use]
pub fn dots<V: Vector, const N: usize>(rows: [&[f32]; N], x: &[f32]) -> [f32; N] {
    // Two sums per row: enough independent ones to hide the latency of an addition.
    let mut sums = [[V::splat(0.0); 2]; N];
    let rows = rows.map(|row| &row[..x.len()]);
    let mut at = 0;
    while at + 2 * V::LANES <= x.len() {
        for half in 0..2 {
            let x = V::load(&x[at..]);
            for (sums, row) in sums.iter_mut().zip(&rows) {
                sums[half] = sums[half].add_product(V::load(&row[at..]), x);
            }
            at += V::LANES;
        }
    }
    sums.map(|[a, b]| a.add_product(b, V::splat(1.0)).sum())
}

/// Inner product of two vectors of any length.
#[inline(always)]
#[must_use]
pub fn dot<V: Vector>(a: &[f32], b: &[f32]) -> f32 {
    let whole = a.len() / (2 * V::LANES) * (2 * V::LANES);
    let (a, a_rest) = a.split_at(whole);
    let (b, b_rest) = b.split_at(whole);
    let [sum] = dots::<V, 1>([a], b);
    a_rest.iter().zip(b_rest).fold(sum, |sum, (a, b)| sum + a * b)
}

/// Add each of `rows` times its factor to `y`; all are padded to the same length.
#[inline(always)]
pub fn add_scaled<V: Vector, const N: usize>(factors: [f32; N], rows: [&[f32]; N], y: &mut [f32]) {
    let rows = rows.map(|row| &row[..y.len()]);
    let factors = factors.map(V::splat);
    let mut at = 0;
    while at + V::LANES <= y.len() {
        let mut sum = V::load(&y[at..]);
        for (factor, row) in factors.iter().zip(&rows) {
            sum = sum.add_product(*factor, V::load(&row[at..]));
        }
        sum.store(&mut y[at..]);
        at += V::LANES;
    }
}

/// `out = scale * out + a b`; rows of `out` are `out_row` values apart.
///
/// # Panics
/// If the sizes do not agree or a matrix is longer than its slice.
pub fn multiply(a: Strided<'_>, b: Strided<'_>, scale: f32, out: &mut [f32], out_row: usize) {
    let (rows, columns) = (a.shape.0, b.shape.1);
    assert_eq!(a.shape.1, b.shape.0, "the inner sizes must agree");
    a.check();
    b.check();
    assert!(columns <= out_row, "rows of the product must not overlap");
    Strided::rows(out, rows, columns, out_row).check();
    // SAFETY: the furthest element of each matrix was just found to lie in its slice, and `out` is borrowed mutably,
    // so it overlaps neither of the others.
    unsafe {
        matrixmultiply::sgemm(
            rows,
            a.shape.1,
            columns,
            1.0,
            a.values.as_ptr(),
            a.steps.0 as isize,
            a.steps.1 as isize,
            b.values.as_ptr(),
            b.steps.0 as isize,
            b.steps.1 as isize,
            scale,
            out.as_mut_ptr(),
            out_row as isize,
            1,
        );
    }
}

/// A matrix within a slice: where row i and column j meet stands value `i * steps.0 + j * steps.1`.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    values: &'a [f32],
    shape: (usize, usize),
    steps: (usize, usize),
}

impl<'a> Strided<'a> {
    /// The first `columns` of each row, rows being `row` values apart.
    #[must_use]
    pub fn rows(values: &'a [f32], rows: usize, columns: usize, row: usize) -> Self {
        Self { values, shape: (rows, columns), steps: (row, 1) }
    }

    /// Rows as columns and columns as rows.
    #[must_use]
    pub fn transposed(self) -> Self {
        let Self { values, shape, steps } = self;
        Self { values, shape: (shape.1, shape.0), steps: (steps.1, steps.0) }
    }

    fn check(&self) {
        let ((rows, columns), (row, column)) = (self.shape, self.steps);
        assert!(
            rows == 0 || columns == 0 || (rows - 1) * row + (columns - 1) * column < self.values.len(),
            "the matrix must fit"
        );
    }
}

/// Turn the upper triangle of a symmetric positive definite (n, n) matrix into the factor U of `U' U`; false if it is
/// not positive definite. Rows are [`padded`]`(n)` values apart; what stands below the diagonal afterwards means nothing.
///
/// Row i is what is left of it after the rows above, four of which are taken off at once: all of a row is computed with
/// vectors, where one dot product after another would add up lanes for each element.
#[inline(always)]
#[must_use]
pub fn cholesky<V: Vector>(matrix: &mut [f32], n: usize) -> bool {
    let stride = padded(n);
    for i in 0..n {
        let (above, rest) = matrix.split_at_mut(i * stride);
        // Whole vectors, the first of which holds the diagonal.
        let first = i / V::LANES * V::LANES;
        let row = &mut rest[first..stride];
        let (fours, ones) = above.split_at(i / 4 * 4 * stride);
        for four in fours.chunks_exact(4 * stride) {
            let rows: [&[f32]; 4] = from_fn(|k| &four[k * stride..(k + 1) * stride]);
            add_scaled::<V, 4>(rows.map(|other| -other[i]), rows.map(|other| &other[first..]), row);
        }
        for other in ones.chunks_exact(stride) {
            add_scaled::<V, 1>([-other[i]], [&other[first..]], row);
        }
        let pivot = row[i - first];
        // Also false for NaN.
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let scale = pivot.sqrt().recip();
        for value in row {
            *value *= scale;
        }
    }
    true
}

/// Solve `U' U x = b` in place, `factor` from [`cholesky`].
#[inline(always)]
pub fn cholesky_solve<V: Vector>(factor: &[f32], n: usize, b: &mut [f32]) {
    let row = |i: usize| &factor[i * padded(n)..][..n];
    for i in 0..n {
        b[i] /= row(i)[i];
        let x = b[i];
        for (b, u) in b[i + 1..n].iter_mut().zip(&row(i)[i + 1..]) {
            *b -= x * u;
        }
    }
    for i in (0..n).rev() {
        b[i] = (b[i] - dot::<V>(&row(i)[i + 1..], &b[i + 1..n])) / row(i)[i];
    }
}

/// The inverse of the Cholesky factor of a symmetric positive definite (n, n) matrix, in double precision; nothing if
/// it is not positive definite.
///
/// # Errors
/// [`Error::Interrupted`] once `should_stop` says so, which is asked before every row.
pub fn inverse_cholesky(
    matrix: &[f64],
    n: usize,
    should_stop: &dyn Fn() -> bool,
) -> Result<Option<Vec<f64>>> {
    let look = || if should_stop() { Err(Error::Interrupted) } else { Ok(()) };
    let mut l = matrix.to_vec();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for i in 0..n {
        look()?;
        let (above, rest) = l.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..=j * n + j];
            rest[j] = (rest[j] - dot(&rest[..j], other)) / other[j];
        }
        let pivot = rest[i] - dot(&rest[..i], &rest[..i]);
        if !(pivot > 0.0 && pivot.is_finite()) {
            return Ok(None);
        }
        rest[i] = pivot.sqrt();
    }
    let mut inverse = vec![0.0; n * n];
    for i in 0..n {
        look()?;
        let (above, rest) = inverse.split_at_mut(i * n);
        let row = &l[i * n..(i + 1) * n];
        for (k, other) in above.chunks_exact(n).enumerate() {
            for (sum, value) in rest[..=k].iter_mut().zip(other) {
                *sum -= row[k] * value;
            }
        }
        rest[i] = 1.0;
        for value in &mut rest[..=i] {
            *value /= row[i];
        }
    }
    Ok(Some(inverse))
}

/// Blocks of at most `size` that make up `0..total`.
pub fn blocks(total: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..total).step_by(size).map(move |start| start..(start + size).min(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, PADDING, Work, with_vectors};
    use proptest::prelude::*;

    /// Systems are smaller than this: to check an inverse takes the fourth power of its size.
    const LARGEST: usize = if cfg!(miri) { 9 } else { 40 };

    /// Everything that is computed with vectors, on the same small whole numbers: exact, whatever the order.
    struct Everything<'a>(&'a [f32], usize);

    impl Work for Everything<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Vec<f32> {
            let Self(values, length) = self;
            let row = |at: usize| &values[at * length..][..length];
            let mut results = dots::<V, 3>([row(0), row(1), row(2)], row(3)).to_vec();
            results.extend([1, 7, length].map(|part| dot::<V>(&row(0)[..part], &row(1)[..part])));
            let mut sum = row(3).to_vec();
            add_scaled::<V, 3>([1.0, -2.0, 3.0], [row(0), row(1), row(2)], &mut sum);
            results.extend(sum);
            results
        }
    }

    /// A matrix of n columns with its rows padded.
    fn spread(matrix: &[f32], n: usize) -> Vec<f32> {
        let row = |row: &[f32]| [row, &vec![0.0; padded(n) - n]].concat();
        matrix.chunks_exact(n).flat_map(row).collect()
    }

    /// The solution x of A x = (1, ..., 1), A being positive definite.
    struct Solve<'a>(&'a [f32], usize);

    impl Work for Solve<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Vec<f32> {
            let (mut factor, mut x) = (spread(self.0, self.1), vec![1.0; self.1]);
            assert!(cholesky::<V>(&mut factor, self.1));
            cholesky_solve::<V>(&factor, self.1, &mut x);
            x
        }
    }

    proptest! {
        #[test]
        fn vectors_of_any_width_agree(
            values in prop::collection::vec((-9..9_i8).prop_map(f32::from), 4 * 3 * PADDING),
        ) {
            let length = 3 * PADDING;
            let [found, others @ ..] = &Level::available()
                .into_iter()
                .map(|level| with_vectors(level, Everything(&values, length)))
                .collect::<Vec<_>>()[..]
            else {
                unreachable!("there is always the scalar level")
            };
            for other in others {
                prop_assert_eq!(found, other);
            }
            let row = |at: usize| values[at * length..][..length].iter();
            let product: f32 = row(1).zip(row(3)).map(|(a, b)| a * b).sum();
            prop_assert_eq!(found[1], product);
            let (a, b, c, d) = (values[0], values[length], values[2 * length], values[3 * length]);
            prop_assert_eq!(found[6], d + a - 2.0 * b + 3.0 * c);
        }

        #[test]
        fn systems_are_solved(n in 1..LARGEST, values in prop::collection::vec(-1.0..1.0_f32, 40 * 40)) {
            let rows = Strided::rows(&values, n, n, 40);
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                matrix[i * n + i] = 1.0;
            }
            multiply(rows, rows.transposed(), 1.0, &mut matrix, n);
            for level in Level::available() {
                let x = with_vectors(level, Solve(&matrix, n));
                for i in 0..n {
                    let product: f32 = (0..n).map(|j| matrix[i * n + j] * x[j]).sum();
                    prop_assert!((product - 1.0).abs() < 1e-3, "{} {}", level, product);
                }
            }
            let double: Vec<f64> = matrix.iter().map(|&value| value.into()).collect();
            let inverse = inverse_cholesky(&double, n, &|| false)?.expect("positive definite");
            // L^-1 A L^-T is the identity.
            for i in 0..n {
                for j in 0..n {
                    let product: f64 = (0..n)
                        .flat_map(|k| (0..n).map(move |l| (k, l)))
                        .map(|(k, l)| inverse[i * n + k] * double[k * n + l] * inverse[j * n + l])
                        .sum();
                    prop_assert!((product - f64::from(u8::from(i == j))).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_noticed() {
        struct Factor<'a>(&'a [f32]);
        impl Work for Factor<'_> {
            type Output = bool;
            #[inline(always)]
            fn run<V: Vector>(self) -> bool {
                cholesky::<V>(&mut spread(self.0, 2), 2)
            }
        }
        for (matrix, expected) in [
            ([1.0, 0.5, 0.5, 1.0], true),
            ([1.0, 1.0, 1.0, 1.0], false),
            ([-1.0, 0.0, 0.0, 1.0], false),
            ([1.0, f32::NAN, f32::NAN, 1.0], false),
            ([f32::INFINITY, 0.0, 0.0, 1.0], false),
        ] {
            for level in Level::available() {
                assert_eq!(with_vectors(level, Factor(&matrix)), expected, "{level} {matrix:?}");
            }
            let inverse = inverse_cholesky(&matrix.map(f64::from), 2, &|| false).expect("not interrupted");
            assert_eq!(inverse.is_some(), expected, "{matrix:?}");
        }
    }

    #[test]
    #[should_panic(expected = "the matrix must fit")]
    fn a_product_stays_in_its_slice() {
        let a = Strided::rows(&[1.0; 4], 2, 2, 2);
        multiply(a, a, 0.0, &mut [0.0; 3], 2);
    }
}

//! Half a step of alternating least squares for implicit feedback (Hu, Koren & Volinsky 2008).
//!
//! With the other side's factors Y fixed, row u's factors x minimise
//! `sum_i c_ui (p_ui - x.y_i)^2 + l2 |x|^2` over all columns i, where p is 1 and c the confidence for a stored entry,
//! and p is 0 and c is 1 elsewhere. An entry whose value is below 0 is a dislike: p is 0 there, too, with the
//! confidence of its size. So
//!
//! `(G + sum_S (c_i - 1) y_i y_i') x = sum_S c_i p_i y_i`, with `G = Y'Y + l2 I` and S the row's stored entries.
//!
//! G is the same for all rows. With its Cholesky factor L and `v_i = L^-1 y_i`, `z = L' x` this becomes
//!
//! `(I + V' D V) z = V' C p`, where V holds the rows `v_i` of S and D the `c_i - 1`,
//!
//! which costs no product with a width x width matrix per row, and which conjugate gradients (as in Takacs, Pilaszy &
//! Tikk 2011) solve in very few steps from 0: its eigenvalues lie between 1 and max c, nearly all of them at 1. The
//! exact solution takes the smaller of two systems: this one, or `(I + W W') q = W V'C p`, `z = V'C p - W'q`, `W = D^(1/2) V`.

#![expect(clippy::inline_always, reason = "only inlined is a loop compiled for its caller's instructions")]

use rayon::prelude::*;

use crate::csr::CsrView;
use crate::dense::{
    Strided, add_scaled, blocks, cholesky, cholesky_solve, dot, dots, inverse_cholesky, multiply,
};
use crate::error::{Error, Result, expect_length};
use crate::simd::{Level, Vector, Work, padded, with_vectors};

/// Rows solved by one task, which looks for an interruption first; their factors are transformed back together.
const ROWS: usize = 32;
/// Rows of factors summed in single precision before the sum goes on in double.
const GRAM_ROWS: usize = 512;
/// Conjugate gradients stop early where the residual has shrunk to this share of the right-hand side.
const TOLERANCE: f32 = 1e-6;

/// The fixed side's factors in the coordinates in which G is the identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Whitened {
    /// Row i is `v_i`, padded with zeros to [`padded`]`(width)`.
    pub factors: Vec<f32>,
    /// L^-1, (width, width): `x = z L^-1` leads back.
    pub back: Vec<f32>,
}

/// The most columns of factors: a square matrix of so many doubles takes 34 GB.
const MOST_COLUMNS: usize = 1 << 16;

/// Factor G and transform the factors, `(n, width)`.
///
/// # Errors
/// [`Error::Setting`] if `l2` or the width is not above 0, [`Error::Length`] if the factors are no matrix of that width,
/// [`Error::Singular`] if they hold NaN or values too large for `l2`, [`Error::Interrupted`] once `should_stop` says so.
pub fn whiten(factors: &[f32], width: usize, l2: f64, should_stop: &dyn Fn() -> bool) -> Result<Whitened> {
    if !(l2 > 0.0 && l2.is_finite()) {
        return Err(Error::setting("l2", &l2, "a number above 0"));
    }
    if !(1..=MOST_COLUMNS).contains(&width) {
        return Err(Error::setting("factors", &format!("{width} wide"), "1 to 65536 columns"));
    }
    expect_length("factors", factors.len(), factors.len() / width * width)?;
    let mut gram = gram(factors, width);
    for i in 0..width {
        gram[i * width + i] += l2;
    }
    let inverse =
        inverse_cholesky(&gram, width, should_stop)?.ok_or(Error::Singular { argument: "factors" })?;
    let back: Vec<f32> = inverse.iter().map(|&value| value as f32).collect();

    let stride = padded(width);
    let mut whitened = vec![0.0; factors.len() / width * stride];
    whitened.par_chunks_mut(GRAM_ROWS * stride).zip(factors.par_chunks(GRAM_ROWS * width)).for_each(
        |(out, factors)| {
            let rows = Strided::rows(factors, factors.len() / width, width, width);
            multiply(rows, Strided::rows(&back, width, width, width).transposed(), 0.0, out, stride);
        },
    );
    Ok(Whitened { factors: whitened, back })
}

/// Y'Y. The rows are cut the same way whatever the number of threads, so the bits are the same too.
fn gram(factors: &[f32], width: usize) -> Vec<f64> {
    let mut total = vec![0.0; width * width];
    // A round of partial sums at a time: enough for all threads, little memory.
    for round in factors.chunks(64 * GRAM_ROWS * width) {
        let partial: Vec<Vec<f32>> = round
            .par_chunks(GRAM_ROWS * width)
            .map(|factors| {
                let rows = Strided::rows(factors, factors.len() / width, width, width);
                let mut product = vec![0.0; width * width];
                multiply(rows.transposed(), rows, 0.0, &mut product, width);
                product
            })
            .collect();
        for product in partial {
            for (total, value) in total.iter_mut().zip(product) {
                *total += f64::from(value);
            }
        }
    }
    total
}

/// The rows of a confidence matrix to be solved against whitened factors.
#[derive(Debug, Clone, Copy)]
pub struct HalfStep<'a> {
    confidence: CsrView<'a>,
    alpha: f32,
    factors: &'a [f32],
    back: &'a [f32],
    width: usize,
    solver: Solver,
}

/// How a row's system is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// By Cholesky factorisation of the smaller of the two systems.
    Exact,
    /// By so many steps of conjugate gradients from 0.
    ConjugateGradient(usize),
}

impl<'a> HalfStep<'a> {
    /// Put together what belongs together. The confidence of a stored entry is `alpha` times its value; where that is
    /// below 0, times its size, in an entry that should not be there.
    ///
    /// # Errors
    /// [`Error::Setting`] if `alpha` is not above 0; [`Error::Length`] if `whitened` does not hold a padded row for each
    /// column of the matrix, or `back` is not square.
    pub fn new(
        confidence: CsrView<'a>,
        alpha: f32,
        (factors, back): (&'a [f32], &'a [f32]),
        solver: Solver,
    ) -> Result<Self> {
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::setting("alpha", &alpha, "a number above 0"));
        }
        let width = back.len().isqrt();
        expect_length("back", back.len(), (width * width).max(1))?;
        expect_length("whitened", factors.len(), confidence.columns() * padded(width))?;
        Ok(Self { confidence, alpha, factors, back, width, solver })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.confidence.rows()
    }

    /// Write the rows' factors into `out`, `(rows, width)`, and return what they leave of the objective: the weighted
    /// squared error over all cells plus `l2` times the square of each of these factors.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` has another size, [`Error::Singular`] if a row's values or the factors are too large for
    /// its solution to be finite, [`Error::Interrupted`] once `should_stop` says so, [`Error::Level`].
    pub fn solve(&self, out: &mut [f32], should_stop: &(dyn Fn() -> bool + Sync)) -> Result<f64> {
        self.solve_at(Level::current()?, out, should_stop)
    }

    fn solve_at(
        &self,
        level: Level,
        out: &mut [f32],
        should_stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<f64> {
        expect_length("out", out.len(), self.rows() * self.width)?;
        let (width, stride) = (self.width, padded(self.width));
        let loss: Vec<f64> = out
            .par_chunks_mut(ROWS * width)
            .enumerate()
            .map_init(
                || (Scratch::default(), vec![0.0; ROWS * stride]),
                |(scratch, z), (block, out)| {
                    if should_stop() {
                        return Err(Error::Interrupted);
                    }
                    let n = out.len() / width;
                    let z = &mut z[..n * stride];
                    let loss = with_vectors(level, Block { step: self, first: block * ROWS, z, scratch });
                    let back = Strided::rows(self.back, width, width, width);
                    multiply(Strided::rows(z, n, width, stride), back, 0.0, out, width);
                    let finite = out.iter().fold(true, |all, x| all & x.is_finite());
                    Ok(if finite { loss } else { f64::NAN })
                },
            )
            .collect::<Result<_>>()?;
        // Summed in the order of the rows: the same for any number of threads.
        let loss: f64 = loss.iter().sum();
        if loss.is_finite() { Ok(loss) } else { Err(Error::Singular { argument: "matrix" }) }
    }

    #[inline(always)]
    fn vectors<const N: usize>(&self, columns: &[i32; N]) -> [&'a [f32]; N] {
        let stride = padded(self.width);
        columns.map(|column| &self.factors[column as usize * stride..][..stride])
    }

    /// `y += sum_i w_i v_i` over the entries of a row, where `w_i` is the confidence, 0 for a dislike, or, with `p`,
    /// `(c_i - 1) v_i.p`.
    #[inline(always)]
    fn add_entries<V: Vector>(&self, (columns, values): Row<'_>, p: Option<&[f32]>, y: &mut [f32]) {
        let (fours, rest) = columns.as_chunks::<4>();
        let (four_values, rest_values) = values.as_chunks::<4>();
        for (columns, values) in fours.iter().zip(four_values) {
            self.add_some::<V, 4>(columns, values, p, y);
        }
        for (column, value) in rest.iter().zip(rest_values) {
            self.add_some::<V, 1>(&[*column], &[*value], p, y);
        }
    }

    #[inline(always)]
    fn add_some<V: Vector, const N: usize>(
        &self,
        columns: &[i32; N],
        values: &[f32; N],
        p: Option<&[f32]>,
        y: &mut [f32],
    ) {
        let vectors = self.vectors(columns);
        let mut weights = values.map(|value| self.alpha * value);
        if let Some(p) = p {
            let products = dots::<V, N>(vectors, p);
            for (weight, product) in weights.iter_mut().zip(products) {
                *weight = (weight.abs() - 1.0) * product;
            }
        } else {
            weights = weights.map(|weight| weight.max(0.0));
        }
        add_scaled::<V, N>(weights, vectors, y);
    }

    /// Solve by conjugate gradients from `z = 0`, `b` being the right-hand side; return how far `z'Az - 2 b'z` fell.
    #[inline(always)]
    fn conjugate_gradient<V: Vector>(
        &self,
        row: Row<'_>,
        steps: usize,
        scratch: &mut Scratch,
        z: &mut [f32],
    ) -> f64 {
        let Scratch { b: r, p, ap, .. } = scratch;
        p.clone_from(r);
        let mut rr = dot::<V>(r, r);
        if !rr.is_finite() {
            return f64::NAN;
        }
        let enough = TOLERANCE * TOLERANCE * rr;
        let mut fell = 0.0;
        for step in 0..steps {
            if rr <= enough {
                break;
            }
            ap.clone_from(p);
            self.add_entries::<V>(row, Some(p), ap);
            let length = rr / dot::<V>(p, ap);
            add_scaled::<V, 1>([length], [p], z);
            fell += f64::from(length) * f64::from(rr);
            if step + 1 == steps {
                break;
            }
            add_scaled::<V, 1>([-length], [ap], r);
            let next = dot::<V>(r, r);
            let turn = next / rr;
            for (p, r) in p.iter_mut().zip(&*r) {
                *p = turn * *p + r;
            }
            rr = next;
        }
        fell
    }

    /// Solve exactly; return how far `z'Az - 2 b'z` fell.
    #[inline(always)]
    fn exact<V: Vector>(&self, (columns, values): Row<'_>, scratch: &mut Scratch, z: &mut [f32]) -> f64 {
        let (n, width, stride) = (columns.len(), self.width, padded(self.width));
        let Scratch { b, rows, weighted, system, q, .. } = scratch;
        let excess = |value: f32| (self.alpha * value).abs() - 1.0;
        // The roots of D exist only where no confidence is below 1.
        let by_entries = n <= width && values.iter().all(|&value| excess(value) >= 0.0);
        let size = if by_entries { n } else { width };
        system.clear();
        let across = padded(size);
        system.resize(size * across, 0.0);
        // Long rows are gathered a piece at a time.
        for piece in blocks(n, GRAM_ROWS.max(width)) {
            rows.clear();
            weighted.clear();
            for (&column, &value) in columns[piece.clone()].iter().zip(&values[piece.clone()]) {
                let [vector] = self.vectors(&[column]);
                let d = excess(value);
                if by_entries {
                    let root = d.sqrt();
                    rows.extend(vector.iter().map(|v| root * v));
                } else {
                    rows.extend_from_slice(vector);
                    weighted.extend(vector.iter().map(|v| d * v));
                }
            }
            let gathered = Strided::rows(rows, piece.len(), width, stride);
            if by_entries {
                multiply(gathered, gathered.transposed(), 0.0, system, across);
            } else {
                let weighted = Strided::rows(weighted, piece.len(), width, stride);
                multiply(gathered.transposed(), weighted, 1.0, system, across);
            }
        }
        for i in 0..size {
            system[i * across + i] += 1.0;
        }
        // Its eigenvalues are at least min(c, 1) or, where c is nearly 0, what `l2` leaves: positive but for rounding.
        let definite = cholesky::<V>(system, size);
        z.copy_from_slice(b);
        if !definite {
            z.fill(f32::NAN);
        } else if by_entries {
            q.clear();
            q.extend(rows.chunks_exact(stride).map(|row| dot::<V>(row, b)));
            cholesky_solve::<V>(system, size, q);
            for (row, q) in rows.chunks_exact(stride).zip(&*q) {
                add_scaled::<V, 1>([-q], [row], z);
            }
        } else {
            cholesky_solve::<V>(system, size, &mut z[..width]);
        }
        f64::from(dot::<V>(b, z))
    }
}

/// The columns and values stored in a row.
type Row<'a> = (&'a [i32], &'a [f32]);

/// Buffers of one task, reused from row to row.
#[derive(Default)]
struct Scratch {
    b: Vec<f32>,
    p: Vec<f32>,
    ap: Vec<f32>,
    rows: Vec<f32>,
    weighted: Vec<f32>,
    system: Vec<f32>,
    q: Vec<f32>,
}

/// Some consecutive rows, whose whitened solutions go to `z`.
struct Block<'b, 'a> {
    step: &'b HalfStep<'a>,
    first: usize,
    z: &'b mut [f32],
    scratch: &'b mut Scratch,
}

impl Work for Block<'_, '_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let Self { step, first, z, scratch } = self;
        let stride = padded(step.width);
        let mut loss = 0.0;
        for (row, z) in z.chunks_exact_mut(stride).enumerate() {
            let row = step.confidence.row(first + row);
            z.fill(0.0);
            if row.0.is_empty() {
                // Nothing draws it away from 0.
                continue;
            }
            scratch.b.clear();
            scratch.b.resize(stride, 0.0);
            step.add_entries::<V>(row, None, &mut scratch.b);
            let fell = match step.solver {
                Solver::Exact => step.exact::<V>(row, scratch, z),
                Solver::ConjugateGradient(steps) => step.conjugate_gradient::<V>(row, steps, scratch, z),
            };
            let at_zero: f64 = row.1.iter().map(|&value| f64::from((step.alpha * value).max(0.0))).sum();
            loss += at_zero - fell;
        }
        loss
    }
}

#[cfg(test)]
mod tests;

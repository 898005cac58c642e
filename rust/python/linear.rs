//! The kernels of the models that are linear in a user's history.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

use super::Any;
use super::arrays::{
    Arrays, Csr, LEFT, MATRIX, RIGHT, arrays, expect_shape, matrix, matrix_mut, shape, vector, whole,
};
use super::pool::detached;
use super::signals::interruptible;
use crate::als::{HalfStep, Solver};
use crate::csr::CsrView;
use crate::neighbors::Walk;
use crate::products::{Dense, Rows, multiply_block};
use crate::simd::padded;

type Matrix<'py> = Bound<'py, PyArray2<f32>>;

#[pyfunction]
#[pyo3(signature = (matrix, right, n_items, k, *, itself=false))]
pub fn nearest_items<'py>(
    py: Python<'py>,
    matrix: Any<'_, '_>,
    right: Any<'_, '_>,
    n_items: Any<'_, '_>,
    k: Any<'_, '_>,
    itself: bool,
) -> PyResult<Arrays<'py>> {
    let (matrix, right) = (Csr::new(matrix, MATRIX)?, vector(right, "right")?);
    let ((indptr, indices, data), right) = (matrix.slices()?, right.as_slice()?);
    let (n_items, k) = (whole(n_items, "n_items")?, whole(k, "k")?);
    let found = interruptible(py, |should_stop| {
        Walk::new(indptr, indices, data, right, n_items)?.nearest(k, itself, should_stop)
    })?;
    Ok(arrays(py, found))
}

#[pyfunction]
pub fn pair_sums<'py>(
    py: Python<'py>,
    matrix: Any<'_, '_>,
    right: Any<'_, '_>,
    n_items: Any<'_, '_>,
    ranked: Any<'_, '_>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (matrix, right) = (Csr::new(matrix, MATRIX)?, vector(right, "right")?);
    let ((indptr, indices, data), right) = (matrix.slices()?, right.as_slice()?);
    let (n_items, ranked) = (whole(n_items, "n_items")?, super::arrays::matrix(ranked, "ranked")?);
    let ((users, length), lists) = (shape(&ranked), ranked.as_slice()?);
    let sums = interruptible(py, |should_stop| {
        Walk::new(indptr, indices, data, right, n_items)?.pair_sums(lists, length, should_stop)
    })?;
    PyArray1::from_vec(py, sums).reshape([users, length])
}

#[pyfunction]
pub fn sparse_product(
    py: Python<'_>,
    left: Any<'_, '_>,
    right: Any<'_, '_>,
    first_column: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<()> {
    product(py, left, &Csr::new(right, RIGHT)?.sparse()?, first_column, out)
}

#[pyfunction]
pub fn sparse_dense_product(
    py: Python<'_>,
    left: Any<'_, '_>,
    right: Any<'_, '_>,
    first_column: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let right = matrix(right, "right")?;
    let right = Dense::new("right", right.as_slice()?, shape(&right).1)?;
    product(py, left, &right, first_column, out)
}

fn product<R: Rows>(
    py: Python<'_>,
    left: Any<'_, '_>,
    right: &R,
    first_column: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let (left, first) = (Csr::new(left, LEFT)?, whole(first_column, "first_column")?);
    let left = left.sparse()?;
    let mut out = matrix_mut(out, "out")?;
    let width = shape(&out).1;
    expect_shape(&out, "out", (left.indptr().rows(), width))?;
    let out = out.as_slice_mut()?;
    detached(py, || multiply_block(&left, right, first, width, out))
}

#[pyfunction]
pub fn als_whiten<'py>(
    py: Python<'py>,
    factors: Any<'_, '_>,
    l2: f64,
) -> PyResult<(Matrix<'py>, Matrix<'py>)> {
    let factors = matrix(factors, "factors")?;
    let (rows, width) = shape(&factors);
    let factors = factors.as_slice()?;
    let whitened =
        interruptible(py, |should_stop| crate::als::whiten(factors, width, l2, &|| should_stop()))?;
    Ok((
        PyArray1::from_vec(py, whitened.factors).reshape([rows, padded(width)])?,
        PyArray1::from_vec(py, whitened.back).reshape([width, width])?,
    ))
}

#[pyfunction]
#[pyo3(signature = (matrix, whitened, back, alpha, cg_steps=None))]
pub fn als_solve<'py>(
    py: Python<'py>,
    matrix: Any<'_, '_>,
    whitened: Any<'_, '_>,
    back: Any<'_, '_>,
    alpha: f32,
    cg_steps: Option<Any<'_, '_>>,
) -> PyResult<(Matrix<'py>, f64)> {
    let confidence = Csr::new(matrix, MATRIX)?;
    let (whitened, back) =
        (super::arrays::matrix(whitened, "whitened")?, super::arrays::matrix(back, "back")?);
    let (columns, width) = (shape(&whitened).0, shape(&back).0);
    expect_shape(&back, "back", (width, width))?;
    expect_shape(&whitened, "whitened", (columns, padded(width)))?;
    let solver = match cg_steps {
        None => Solver::Exact,
        Some(steps) => Solver::ConjugateGradient(whole(steps, "cg_steps")?),
    };
    let (indptr, indices, data) = confidence.slices()?;
    let rows = indptr.len().saturating_sub(1);
    let fixed = (whitened.as_slice()?, back.as_slice()?);
    let (out, loss) = interruptible(py, |should_stop| {
        let confidence = CsrView::signed(indptr, indices, data, (rows, columns))?;
        let step = HalfStep::new(confidence, alpha, fixed, solver)?;
        let mut out = vec![0.0; rows * width];
        let loss = step.solve(&mut out, should_stop)?;
        Ok((out, loss))
    })?;
    Ok((PyArray1::from_vec(py, out).reshape([rows, width])?, loss))
}

//! The kernels of the models that are linear in a user's history.

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{matrix, matrix_mut, shape, vector};
use super::signals::interruptible;
use super::{Any, natural};
use crate::als::{HalfStep, Solver};
use crate::csr::CsrView;
use crate::error::Error;
use crate::neighbors::Walk;
use crate::products::{Dense, Rows, Sparse, multiply_block};
use crate::simd::padded;

/// `indptr`, `indices` and `data` of a CSR matrix.
type Csr<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f32>>);

type Matrix<'py> = Bound<'py, PyArray2<f32>>;

#[pyfunction]
#[pyo3(signature = (indptr, indices, left, right, n_items, k, *, itself=false))]
pub fn nearest_items<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    left: Any<'_, '_>,
    right: Any<'_, '_>,
    n_items: i64,
    k: i64,
    itself: bool,
) -> PyResult<Csr<'py>> {
    let (indptr, indices) = (vector(indptr, "indptr")?, vector(indices, "indices")?);
    let (left, right) = (vector(left, "left")?, vector(right, "right")?);
    let (indptr, indices, left, right) =
        (indptr.as_slice()?, indices.as_slice()?, left.as_slice()?, right.as_slice()?);
    let (n_items, k) = (natural(n_items, "n_items")?, natural(k, "k")?);
    let found = interruptible(py, |should_stop| {
        Walk::new(indptr, indices, left, right, n_items)?.nearest(k, itself, should_stop)
    })?;
    Ok((
        PyArray1::from_vec(py, found.indptr),
        PyArray1::from_vec(py, found.indices),
        PyArray1::from_vec(py, found.data),
    ))
}

#[pyfunction]
pub fn sparse_product(
    py: Python<'_>,
    left_indptr: Any<'_, '_>,
    left_indices: Any<'_, '_>,
    left_data: Any<'_, '_>,
    right_indptr: Any<'_, '_>,
    right_indices: Any<'_, '_>,
    right_data: Any<'_, '_>,
    first_column: i64,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let (indptr, indices) = (vector(right_indptr, "right_indptr")?, vector(right_indices, "right_indices")?);
    let data = vector(right_data, "right_data")?;
    let names = ["right_indptr", "right_indices", "right_data"];
    let right = Sparse::new(names, indptr.as_slice()?, indices.as_slice()?, data.as_slice()?)?;
    product(py, [left_indptr, left_indices, left_data], &right, first_column, out)
}

#[pyfunction]
pub fn sparse_dense_product(
    py: Python<'_>,
    left_indptr: Any<'_, '_>,
    left_indices: Any<'_, '_>,
    left_data: Any<'_, '_>,
    right: Any<'_, '_>,
    first_column: i64,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let right = matrix(right, "right")?;
    let right = Dense::new("right", right.as_slice()?, shape(&right).1)?;
    product(py, [left_indptr, left_indices, left_data], &right, first_column, out)
}

fn product<R: Rows>(
    py: Python<'_>,
    [indptr, indices, data]: [Any<'_, '_>; 3],
    right: &R,
    first_column: i64,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let (indptr, indices) = (vector(indptr, "left_indptr")?, vector(indices, "left_indices")?);
    let data = vector(data, "left_data")?;
    let names = ["left_indptr", "left_indices", "left_data"];
    let left = Sparse::new(names, indptr.as_slice()?, indices.as_slice()?, data.as_slice()?)?;
    let first = natural(first_column, "first_column")?;
    let mut out = matrix_mut(out, "out")?;
    let (height, width) = shape(&out);
    if height != left.rows() {
        let (got, expected) = ((height, width), (left.rows(), width));
        return Err(Error::Shape { argument: "out", got, expected }.into());
    }
    let out = out.as_slice_mut()?;
    Ok(py.detach(|| multiply_block(&left, right, first, width, out))?)
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
    let whitened = py.detach(|| crate::als::whiten(factors, width, l2))?;
    Ok((
        PyArray1::from_vec(py, whitened.factors).reshape([rows, padded(width)])?,
        PyArray1::from_vec(py, whitened.back).reshape([width, width])?,
    ))
}

#[pyfunction]
#[pyo3(signature = (indptr, indices, data, whitened, back, alpha, cg_steps=None))]
pub fn als_solve<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    data: Any<'_, '_>,
    whitened: Any<'_, '_>,
    back: Any<'_, '_>,
    alpha: f32,
    cg_steps: Option<i64>,
) -> PyResult<(Matrix<'py>, f64)> {
    let (indptr, indices, data) =
        (vector(indptr, "indptr")?, vector(indices, "indices")?, vector(data, "data")?);
    let (whitened, back) = (matrix(whitened, "whitened")?, matrix(back, "back")?);
    let (rows, columns, width) = (indptr.len().saturating_sub(1), shape(&whitened).0, shape(&back).0);
    for (argument, got, expected) in
        [("back", shape(&back), (width, width)), ("whitened", shape(&whitened), (columns, padded(width)))]
    {
        if got != expected {
            return Err(Error::Shape { argument, got, expected }.into());
        }
    }
    let solver = match cg_steps {
        None => Solver::Exact,
        Some(steps) => Solver::ConjugateGradient(natural(steps, "cg_steps")?),
    };
    let (indptr, indices, data) = (indptr.as_slice()?, indices.as_slice()?, data.as_slice()?);
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

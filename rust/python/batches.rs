//! The kernels that make batches.

use numpy::{Element, PyReadwriteArray2};
use pyo3::prelude::*;

use super::Any;
use super::arrays::{self, Csr, MATRIX, expect_shape, matrix_mut, shape, vector, whole};
use super::pool::detached;
use crate::csr::Sparse;
use crate::noised::{Bf16, Cell, Noising};

// SAFETY: `Bf16` is transparent over `u16`, of which any bits are a value; NumPy knows it by that name.
unsafe impl Element for Bf16 {
    const IS_COPY: bool = true;

    fn get_dtype(py: Python<'_>) -> Bound<'_, numpy::PyArrayDescr> {
        numpy::dtype::<u16>(py)
    }

    fn clone_ref(&self, _py: Python<'_>) -> Self {
        *self
    }
}

#[pyfunction]
#[pyo3(signature = (matrix, rows, signal, spread, out, *, normalize, dropout, seed, step, keys=None, first=None))]
pub fn noised_rows(
    py: Python<'_>,
    matrix: Any<'_, '_>,
    rows: Any<'_, '_>,
    signal: Any<'_, '_>,
    spread: Any<'_, '_>,
    out: Any<'_, '_>,
    normalize: bool,
    dropout: f32,
    seed: Any<'_, '_>,
    step: Any<'_, '_>,
    keys: Option<Any<'_, '_>>,
    first: Option<Any<'_, '_>>,
) -> PyResult<()> {
    let (matrix, rows) = (Csr::new(matrix, MATRIX)?, vector(rows, "rows")?);
    let (signal, spread) = (vector(signal, "signal")?, vector(spread, "spread")?);
    let (signal, spread) = (signal.as_slice()?, spread.as_slice()?);
    let (seed, step) = (whole(seed, "seed")?, whole(step, "step")?);
    let keys = keys.map(|keys| vector(keys, "keys")).transpose()?;
    let keys = keys.as_ref().map(|keys| keys.as_slice()).transpose()?;
    let first = first.map_or(Ok(0), |first| whole(first, "first"))?;
    let noising = Noising { signal, spread, normalize, dropout, seed, step, keys, first };
    let (matrix, rows) = (matrix.sparse()?, rows.as_slice()?);
    if arrays::is::<u16>(out) {
        noise_into(py, &matrix, rows, &noising, matrix_mut::<Bf16>(out, "out")?)
    } else {
        noise_into(py, &matrix, rows, &noising, matrix_mut::<f32>(out, "out")?)
    }
}

fn noise_into<C: Cell + Element>(
    py: Python<'_>,
    matrix: &Sparse<'_>,
    rows: &[i64],
    noising: &Noising<'_>,
    mut out: PyReadwriteArray2<'_, C>,
) -> PyResult<()> {
    let columns = shape(&out).1;
    expect_shape(&out, "out", (rows.len(), columns))?;
    let out = out.as_slice_mut()?;
    detached(py, || crate::noised::noised_rows(matrix, rows, noising, out, columns))
}

#[pyfunction]
pub fn normal_rows(
    py: Python<'_>,
    seed: Any<'_, '_>,
    step: Any<'_, '_>,
    rows: Any<'_, '_>,
    first: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let rows = vector(rows, "rows")?;
    let mut out = matrix_mut(out, "out")?;
    let width = shape(&out).1;
    expect_shape(&out, "out", (rows.as_slice()?.len(), width))?;
    let (seed, step) = (whole(seed, "seed")?, whole(step, "step")?);
    let (rows, first) = (rows.as_slice()?, whole(first, "first")?);
    let out = out.as_slice_mut()?;
    detached(py, || crate::noise::normal_rows(seed, step, rows, first, width, out))
}

//! The kernels that make batches.

use numpy::{Element, PyReadonlyArray1, PyReadwriteArray2};
use pyo3::prelude::*;

use super::arrays::{self, expect_shape, matrix_mut, shape, vector};
use super::{Any, natural};
use crate::batch::Rows;
use crate::csr::Indptr;
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

/// Rows of a CSR matrix, as arguments.
struct Gathered<'py> {
    indptr: PyReadonlyArray1<'py, i64>,
    indices: PyReadonlyArray1<'py, i32>,
    data: PyReadonlyArray1<'py, f32>,
    rows: PyReadonlyArray1<'py, i64>,
    weights: Option<PyReadonlyArray1<'py, f32>>,
}

impl<'py> Gathered<'py> {
    fn new(
        [indptr, indices, data, rows]: [Any<'_, 'py>; 4],
        weights: Option<Any<'_, 'py>>,
    ) -> PyResult<Self> {
        Ok(Self {
            indptr: vector(indptr, "indptr")?,
            indices: vector(indices, "indices")?,
            data: vector(data, "data")?,
            rows: vector(rows, "rows")?,
            weights: weights.map(|weights| vector(weights, "weights")).transpose()?,
        })
    }

    fn view(&self) -> PyResult<Rows<'_>> {
        let indices = self.indices.as_slice()?;
        Ok(Rows {
            indptr: Indptr::new("indptr", self.indptr.as_slice()?, indices.len())?,
            indices,
            data: self.data.as_slice()?,
            rows: self.rows.as_slice()?,
            weights: self.weights.as_ref().map(|weights| weights.as_slice()).transpose()?,
        })
    }
}

#[pyfunction]
#[pyo3(signature = (indptr, indices, data, rows, out, weights=None))]
pub fn dense_rows(
    py: Python<'_>,
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    data: Any<'_, '_>,
    rows: Any<'_, '_>,
    out: Any<'_, '_>,
    weights: Option<Any<'_, '_>>,
) -> PyResult<()> {
    let gathered = Gathered::new([indptr, indices, data, rows], weights)?;
    let mut out = matrix_mut(out, "out")?;
    let (from, columns) = (gathered.view()?, shape(&out).1);
    expect_shape(&out, "out", (from.rows.len(), columns))?;
    let out = out.as_slice_mut()?;
    Ok(py.detach(|| crate::batch::dense_rows(&from, out, columns))?)
}

#[pyfunction]
#[pyo3(signature = (indptr, indices, data, rows, signal, spread, out, *, normalize, dropout, seed, step))]
pub fn noised_rows(
    py: Python<'_>,
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    data: Any<'_, '_>,
    rows: Any<'_, '_>,
    signal: Any<'_, '_>,
    spread: Any<'_, '_>,
    out: Any<'_, '_>,
    normalize: bool,
    dropout: f32,
    seed: u64,
    step: u32,
) -> PyResult<()> {
    let gathered = Gathered::new([indptr, indices, data, rows], None)?;
    let (signal, spread) = (vector(signal, "signal")?, vector(spread, "spread")?);
    let from = gathered.view()?;
    let noising =
        Noising { signal: signal.as_slice()?, spread: spread.as_slice()?, normalize, dropout, seed, step };
    if arrays::is::<u16>(out) {
        noise_into(py, &from, &noising, matrix_mut::<Bf16>(out, "out")?)
    } else {
        noise_into(py, &from, &noising, matrix_mut::<f32>(out, "out")?)
    }
}

fn noise_into<C: Cell + Element>(
    py: Python<'_>,
    from: &Rows<'_>,
    noising: &Noising<'_>,
    mut out: PyReadwriteArray2<'_, C>,
) -> PyResult<()> {
    let columns = shape(&out).1;
    expect_shape(&out, "out", (from.rows.len(), columns))?;
    let out = out.as_slice_mut()?;
    Ok(py.detach(|| crate::noised::noised_rows(from, noising, out, columns))?)
}

#[pyfunction]
pub fn normal_rows(
    py: Python<'_>,
    seed: u64,
    step: u32,
    rows: Any<'_, '_>,
    first: i64,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let rows = vector(rows, "rows")?;
    let mut out = matrix_mut(out, "out")?;
    let width = shape(&out).1;
    expect_shape(&out, "out", (rows.as_slice()?.len(), width))?;
    let (rows, first) = (rows.as_slice()?, natural(first, "first")?);
    let out = out.as_slice_mut()?;
    Ok(py.detach(|| crate::noise::normal_rows(seed, step, rows, first, width, out))?)
}

//! The kernels that cut histories into past and future.

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

use super::arrays::vector;
use super::{Any, natural};
use crate::error::Error;
use crate::timeline::{Scale, Timeline};

type Vector<'py, T> = Bound<'py, PyArray1<T>>;

/// Histories and where to cut some of them, as arguments.
struct Cut<'py> {
    indptr: PyReadonlyArray1<'py, i64>,
    items: PyReadonlyArray1<'py, i32>,
    rows: PyReadonlyArray1<'py, i64>,
    cuts: PyReadonlyArray1<'py, i64>,
    n_items: usize,
}

impl<'py> Cut<'py> {
    fn new([indptr, items, rows, cuts]: [Any<'_, 'py>; 4], n_items: i64) -> PyResult<Self> {
        Ok(Self {
            indptr: vector(indptr, "indptr")?,
            items: vector(items, "items")?,
            rows: vector(rows, "rows")?,
            cuts: vector(cuts, "cuts")?,
            n_items: natural(n_items, "n_items")?,
        })
    }

    /// Without times, which only weights need.
    fn timeline(&self) -> PyResult<Timeline<'_>> {
        Ok(Timeline::without_times(self.indptr.as_slice()?, self.items.as_slice()?)?)
    }
}

#[pyfunction]
pub fn draw_cuts<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    rows: Any<'_, '_>,
    seed: u64,
    step: u64,
) -> PyResult<Vector<'py, i64>> {
    let (indptr, rows) = (vector(indptr, "indptr")?, vector(rows, "rows")?);
    let (indptr, rows) = (indptr.as_slice()?, rows.as_slice()?);
    let cuts = py.detach(|| crate::timeline::draw_cuts(indptr, rows, seed, step))?;
    Ok(PyArray1::from_vec(py, cuts))
}

#[pyfunction]
pub fn prefix_rows<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    items: Any<'_, '_>,
    times: Any<'_, '_>,
    n_items: i64,
    rows: Any<'_, '_>,
    cuts: Any<'_, '_>,
    scales: Vec<(String, f64)>,
) -> PyResult<(Vector<'py, i64>, Vector<'py, i32>, Vector<'py, f32>)> {
    let cut = Cut::new([indptr, items, rows, cuts], n_items)?;
    let times = vector(times, "times")?;
    let timeline = Timeline::new(cut.indptr.as_slice()?, cut.items.as_slice()?, times.as_slice()?)?;
    let scales =
        scales.iter().map(|(kind, tau)| Scale::new(kind, *tau)).collect::<Result<Vec<_>, Error>>()?;
    let (rows, cuts) = (cut.rows.as_slice()?, cut.cuts.as_slice()?);
    let found = py.detach(|| timeline.before(cut.n_items, rows, cuts, &scales))?;
    Ok((
        PyArray1::from_vec(py, found.indptr),
        PyArray1::from_vec(py, found.indices),
        PyArray1::from_vec(py, found.data),
    ))
}

#[pyfunction]
pub fn next_items<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    items: Any<'_, '_>,
    n_items: i64,
    rows: Any<'_, '_>,
    cuts: Any<'_, '_>,
    horizon: i64,
) -> PyResult<(Vector<'py, i64>, Vector<'py, i32>)> {
    let cut = Cut::new([indptr, items, rows, cuts], n_items)?;
    let (timeline, horizon) = (cut.timeline()?, natural(horizon, "horizon")?);
    let (rows, cuts) = (cut.rows.as_slice()?, cut.cuts.as_slice()?);
    let found = py.detach(|| timeline.after(cut.n_items, rows, cuts, horizon))?;
    Ok((PyArray1::from_vec(py, found.indptr), PyArray1::from_vec(py, found.indices)))
}

#[pyfunction]
pub fn last_items<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    items: Any<'_, '_>,
    n_items: i64,
    rows: Any<'_, '_>,
    cuts: Any<'_, '_>,
    length: i64,
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    let cut = Cut::new([indptr, items, rows, cuts], n_items)?;
    let (timeline, length) = (cut.timeline()?, natural(length, "length")?);
    let (rows, cuts) = (cut.rows.as_slice()?, cut.cuts.as_slice()?);
    let found = py.detach(|| timeline.last(cut.n_items, rows, cuts, length))?;
    PyArray1::from_vec(py, found).reshape([rows.len(), length])
}

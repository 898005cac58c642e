//! The kernels that cut histories into past and future.

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::Any;
use super::arrays::{Arrays, arrays, vector, whole};
use super::pool::{detached, in_place};
use crate::error::Error;
use crate::timeline::{Clock, Scale, Timeline};

type Vector<'py, T> = Bound<'py, PyArray1<T>>;

/// Histories and where to cut some of them, as arguments.
struct Cut<'py> {
    indptr: PyReadonlyArray1<'py, i64>,
    items: PyReadonlyArray1<'py, i32>,
    baskets: PyReadonlyArray1<'py, i32>,
    rows: PyReadonlyArray1<'py, i64>,
    cuts: PyReadonlyArray1<'py, i64>,
    n_items: usize,
}

impl<'py> Cut<'py> {
    fn new([indptr, items, baskets, rows, cuts]: [Any<'_, 'py>; 5], n_items: Any<'_, 'py>) -> PyResult<Self> {
        Ok(Self {
            indptr: vector(indptr, "indptr")?,
            items: vector(items, "items")?,
            baskets: vector(baskets, "baskets")?,
            rows: vector(rows, "rows")?,
            cuts: vector(cuts, "cuts")?,
            n_items: whole(n_items, "n_items")?,
        })
    }

    fn timeline(&self) -> PyResult<Timeline<'_>> {
        Ok(Timeline::new(self.indptr.as_slice()?, self.items.as_slice()?, self.baskets.as_slice()?)?)
    }
}

#[pyfunction]
pub fn draw_cuts<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    baskets: Any<'_, '_>,
    rows: Any<'_, '_>,
    places: Any<'_, '_>,
    most: Any<'_, '_>,
    seed: Any<'_, '_>,
    step: Any<'_, '_>,
) -> PyResult<Vector<'py, i64>> {
    let (indptr, baskets) = (vector(indptr, "indptr")?, vector(baskets, "baskets")?);
    let (rows, places) = (vector(rows, "rows")?, vector(places, "places")?);
    let (most, seed, step) = (whole(most, "most")?, whole(seed, "seed")?, whole(step, "step")?);
    let (indptr, baskets) = (indptr.as_slice()?, baskets.as_slice()?);
    let (rows, places) = (rows.as_slice()?, places.as_slice()?);
    let cuts = in_place(py, || crate::timeline::draw_cuts(indptr, baskets, rows, places, most, seed, step))?;
    Ok(PyArray1::from_vec(py, cuts))
}

#[pyfunction]
#[pyo3(signature = (indptr, items, baskets, times, n_items, rows, cuts, scales, *, repeats=false, now=None, intervals=None))]
pub fn prefix_rows<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    items: Any<'_, '_>,
    baskets: Any<'_, '_>,
    times: Any<'_, '_>,
    n_items: Any<'_, '_>,
    rows: Any<'_, '_>,
    cuts: Any<'_, '_>,
    scales: Vec<(String, f64)>,
    repeats: bool,
    now: Option<f64>,
    intervals: Option<Any<'_, '_>>,
) -> PyResult<Arrays<'py>> {
    let cut = Cut::new([indptr, items, baskets, rows, cuts], n_items)?;
    let times = vector(times, "times")?;
    let intervals = intervals.map(|given| vector(given, "intervals")).transpose()?;
    let intervals = intervals.as_ref().map_or(Ok(&[][..]), PyReadonlyArray1::as_slice)?;
    let clock = Clock { times: times.as_slice()?, now, intervals };
    let timeline = cut.timeline()?.with_repeats(repeats);
    let scales =
        scales.iter().map(|(kind, tau)| Scale::new(kind, *tau)).collect::<Result<Vec<_>, Error>>()?;
    let (rows, cuts) = (cut.rows.as_slice()?, cut.cuts.as_slice()?);
    let found = detached(py, || timeline.before(clock, cut.n_items, rows, cuts, &scales))?;
    Ok(arrays(py, found))
}

#[pyfunction]
#[pyo3(signature = (indptr, items, baskets, n_items, rows, cuts, horizon, *, repeats=false, fresh=false))]
pub fn next_items<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    items: Any<'_, '_>,
    baskets: Any<'_, '_>,
    n_items: Any<'_, '_>,
    rows: Any<'_, '_>,
    cuts: Any<'_, '_>,
    horizon: Any<'_, '_>,
    repeats: bool,
    fresh: bool,
) -> PyResult<(Vector<'py, i64>, Vector<'py, i32>)> {
    let cut = Cut::new([indptr, items, baskets, rows, cuts], n_items)?;
    let (timeline, horizon) = (cut.timeline()?.with_repeats(repeats), whole(horizon, "horizon")?);
    let (rows, cuts) = (cut.rows.as_slice()?, cut.cuts.as_slice()?);
    let found = detached(py, || timeline.after(cut.n_items, rows, cuts, horizon, fresh))?;
    Ok((PyArray1::from_vec(py, found.indptr), PyArray1::from_vec(py, found.indices)))
}

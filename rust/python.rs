//! The Python module `diffrec._core`: take arrays, release the GIL, call the kernel, give an array back.
//!
//! What each function does and promises stands in `python/diffrec/_core.pyi`.

#![expect(clippy::too_many_arguments, reason = "the functions are called by keyword in Python")]
#![expect(clippy::needless_pass_by_value, reason = "PyO3 makes arguments to be owned")]

mod arrays;
mod batches;
mod linear;
mod pool;
mod signals;
mod timeline;

use numpy::{Element, PyArray1, PyArray2, PyArray3, PyArrayMethods};
use pyo3::exceptions::{PyImportError, PyKeyboardInterrupt, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::csr::CsrView;
use crate::error::Error;
use crate::kmeans::{Points, Settings};
use crate::ranking_metrics::{METRICS, Ranked};
use crate::simd::Level;
use crate::time_weight::TimeWeight;
use crate::topk::Block;
use arrays::{
    Csr, MATRIX, RELEVANT, SEEN, expect_shape, flags, matrix, matrix_mut, parts, shape, vector, whole,
};
use pool::{detached, in_place, pool};
use signals::interruptible;

/// An argument that is to be an array; [`arrays`] says what is wrong with it if it is not.
type Any<'a, 'py> = &'a Bound<'py, PyAny>;

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Length { .. }
            | Error::Shape { .. }
            | Error::IndptrStart { .. }
            | Error::IndptrEnd { .. }
            | Error::IndptrRow { .. }
            | Error::Index { .. }
            | Error::Value { .. }
            | Error::NotFinite { .. }
            | Error::Singular { .. }
            | Error::NanScore { .. }
            | Error::Unsorted { .. }
            | Error::Unordered { .. }
            | Error::RunningList { .. }
            | Error::Coordinate { .. }
            | Error::Setting { .. } => PyValueError::new_err(error.to_string()),
            Error::Forks { .. } | Error::Threads { .. } => PyRuntimeError::new_err(error.to_string()),
            Error::Interrupted => PyKeyboardInterrupt::new_err(()),
            // Only the import meets it: what the environment asks for is read once, and the import asks first.
            Error::Level { .. } => PyImportError::new_err(error.to_string()),
        }
    }
}

/// Raise unless the arrays form a CSR matrix of finite values that are not negative.
#[pyfunction]
#[pyo3(name = "check_csr")]
fn check_csr_of_any_type<'py>(
    py: Python<'py>,
    matrix: Any<'_, 'py>,
    shape: (Bound<'py, PyAny>, Bound<'py, PyAny>),
) -> PyResult<()> {
    let shape = (whole(&shape.0, "shape[0]")?, whole(&shape.1, "shape[1]")?);
    let [_, indices, data] = parts(matrix, "matrix")?;
    match (arrays::is::<i64>(&indices), arrays::is::<f64>(&data)) {
        (false, false) => check_csr::<i32, f32>(py, matrix, shape),
        (false, true) => check_csr::<i32, f64>(py, matrix, shape),
        (true, false) => check_csr::<i64, f32>(py, matrix, shape),
        (true, true) => check_csr::<i64, f64>(py, matrix, shape),
    }
}

fn check_csr<I: Element + Copy + Ord + Into<i64>, V: Element + Copy + Into<f64>>(
    py: Python<'_>,
    matrix: Any<'_, '_>,
    shape: (usize, usize),
) -> PyResult<()> {
    let matrix = Csr::<I, V>::new(matrix, MATRIX)?;
    let (indptr, indices, data) = matrix.slices()?;
    in_place(py, || CsrView::new(indptr, indices, data, shape).map(drop))
}

/// Weigh each interaction by its age within its user's history.
#[pyfunction]
#[pyo3(signature = (indptr, timestamps, kind, w_min, w_max, half_life, *, clock=false))]
fn time_weights<'py>(
    py: Python<'py>,
    indptr: Any<'_, '_>,
    timestamps: Any<'_, '_>,
    kind: &str,
    w_min: f64,
    w_max: f64,
    half_life: f64,
    clock: bool,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let (indptr, timestamps) = (vector(indptr, "indptr")?, vector(timestamps, "timestamps")?);
    let (indptr, timestamps) = (indptr.as_slice()?, timestamps.as_slice()?);
    let weight = TimeWeight::new(kind.parse()?, w_min, w_max, half_life, clock)?;
    let weights = detached(py, || crate::time_weight::time_weights(indptr, timestamps, &weight))?;
    Ok(PyArray1::from_vec(py, weights))
}

/// Merge a block of scores into running top-K lists.
#[pyfunction]
fn top_k(
    py: Python<'_>,
    scores: Any<'_, '_>,
    first_item: Any<'_, '_>,
    seen: Any<'_, '_>,
    rows: Any<'_, '_>,
    denied: Option<Any<'_, '_>>,
    items: Any<'_, '_>,
    values: Any<'_, '_>,
) -> PyResult<()> {
    let (scores, rows) = (matrix(scores, "scores")?, vector(rows, "rows")?);
    let seen = Csr::new(seen, SEEN)?;
    let denied = denied.map(|denied| flags(denied, "denied")).transpose()?;
    let (mut items, mut values) = (matrix_mut(items, "items")?, matrix_mut(values, "values")?);
    let (users, width, k) = (rows.len()?, shape(&scores).1, shape(&items).1);
    expect_shape(&scores, "scores", (users, width))?;
    expect_shape(&items, "items", (users, k))?;
    expect_shape(&values, "values", (users, k))?;
    let block = Block {
        scores: scores.as_slice()?,
        width,
        first_item: whole(first_item, "first_item")?,
        seen: seen.pattern()?,
        rows: rows.as_slice()?,
        denied: denied.as_ref().map(|denied| denied.as_slice()).transpose()?,
    };
    let (items, values) = (items.as_slice_mut()?, values.as_slice_mut()?);
    detached(py, || crate::topk::top_k(&block, items, values, k))
}

/// Draw for each of the rows an item that it lacks.
#[pyfunction]
fn negative_items<'py>(
    py: Python<'py>,
    matrix: Any<'_, '_>,
    n_items: Any<'_, '_>,
    rows: Any<'_, '_>,
    seed: Any<'_, '_>,
    epoch: Any<'_, '_>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (matrix, rows) = (Csr::new(matrix, MATRIX)?, vector(rows, "rows")?);
    let (histories, rows) = (matrix.pattern()?, rows.as_slice()?);
    let (n_items, seed, epoch) = (whole(n_items, "n_items")?, whole(seed, "seed")?, whole(epoch, "epoch")?);
    let drawn =
        detached(py, || crate::negative_sampling::negative_items(&histories, n_items, rows, seed, epoch))?;
    Ok(PyArray1::from_vec(py, drawn))
}

/// Judge ranked lists against each user's relevant items.
#[pyfunction]
fn ranking_metrics<'py>(
    py: Python<'py>,
    ranked: Any<'_, '_>,
    relevant: Any<'_, '_>,
    k: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let (ranked, relevant) = (matrix(ranked, "ranked")?, Csr::new(relevant, RELEVANT)?);
    let (users, _) = shape(&ranked);
    let (ranked, relevant) = (Ranked::new(ranked.as_slice()?, shape(&ranked))?, relevant.pattern()?);
    let k = cuts(&k)?;
    let metrics = detached(py, || crate::ranking_metrics::ranking_metrics(&ranked, &relevant, &k))?;
    PyArray1::from_vec(py, metrics).reshape([METRICS, k.len(), users])
}

/// Share of the items that stand in some user's first k.
#[pyfunction]
fn coverage<'py>(
    py: Python<'py>,
    ranked: Any<'_, '_>,
    n_items: Any<'_, '_>,
    k: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let ranked = matrix(ranked, "ranked")?;
    let ranked = Ranked::new(ranked.as_slice()?, shape(&ranked))?;
    let (n_items, k) = (whole(n_items, "n_items")?, cuts(&k)?);
    let shares = in_place(py, || crate::ranking_metrics::coverage(&ranked, n_items, &k))?;
    Ok(PyArray1::from_vec(py, shares))
}

fn cuts(k: &[Bound<'_, PyAny>]) -> PyResult<Vec<i64>> {
    // The kernel says which of them is out of its range; here it is whether each is an integer at all that fits.
    k.iter().map(|k| k.extract().or_else(|_| whole::<usize>(k, "k").map(|k| k as i64))).collect()
}

type Groups<'py> = (Bound<'py, PyArray1<i32>>, Bound<'py, PyArray2<f32>>, f64, usize);

/// Group points by k-means.
#[pyfunction]
fn kmeans<'py>(
    py: Python<'py>,
    points: Any<'_, '_>,
    k: Any<'_, '_>,
    n_init: Any<'_, '_>,
    max_iter: Any<'_, '_>,
    tol: f64,
    balance: Option<f64>,
    seed: Any<'_, '_>,
    init: Option<Any<'_, '_>>,
) -> PyResult<Groups<'py>> {
    let (k, n_init, seed) = (whole(k, "k")?, whole(n_init, "n_init")?, whole(seed, "seed")?);
    let settings = Settings { k, n_init, max_iter: whole(max_iter, "max_iter")?, tol, balance, seed };
    let points = matrix(points, "points")?;
    let init = init.map(|init| matrix(init, "init")).transpose()?;
    let points_shape = shape(&points);
    let points = points.as_slice()?;
    let init = init.as_ref().map(|init| Ok::<_, PyErr>((init.as_slice()?, shape(init)))).transpose()?;
    let groups = interruptible(py, |should_stop| {
        let points = Points::new("points", points, points_shape)?;
        let init = init.map(|(init, shape)| Points::new("init", init, shape)).transpose()?;
        crate::kmeans::kmeans(Level::current()?, &points, init.as_ref(), &settings, should_stop)
    })?;
    let labels = PyArray1::from_vec(py, groups.labels);
    let centroids = PyArray1::from_vec(py, groups.centroids).reshape([k, points_shape.1])?;
    Ok((labels, centroids, groups.inertia, groups.iterations))
}

/// Whether this processor has instructions that multiply bfloat16 numbers.
#[pyfunction]
fn multiplies_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // Processors with AMX tiles have these, too.
        is_x86_feature_detected!("avx512bf16")
    }
    // ARM has such instructions, too: whether they make training faster there has not been measured.
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Name of the instruction set in use.
#[pyfunction]
fn simd_level() -> PyResult<&'static str> {
    Ok(Level::current()?.name())
}

/// Names of the instruction sets this processor has.
#[pyfunction]
fn simd_levels() -> Vec<&'static str> {
    Level::available().into_iter().map(Level::name).collect()
}

/// Number of threads the kernels share.
#[pyfunction]
fn threads() -> PyResult<usize> {
    Ok(pool()?.current_num_threads())
}

/// Kernels over NumPy arrays, written in Rust.
// No call changes anything that another sees but the arrays it is given, and those are borrowed.
#[pymodule(gil_used = false)]
mod _core {
    use super::{Bound, Level, PyModule, PyResult};

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        // A level that cannot be had is to be heard of here, not in the middle of some work.
        Level::current()?;
        Ok(())
    }

    #[pymodule_export]
    use super::linear::{
        als_solve, als_whiten, nearest_items, pair_sums, sparse_dense_product, sparse_product,
    };

    #[pymodule_export]
    use super::batches::{noised_rows, normal_rows};

    #[pymodule_export]
    use super::timeline::{draw_cuts, next_items, prefix_rows};

    #[pymodule_export]
    use super::{
        check_csr_of_any_type, coverage, kmeans, multiplies_bfloat16, negative_items, ranking_metrics,
        simd_level, simd_levels, threads, time_weights, top_k,
    };

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

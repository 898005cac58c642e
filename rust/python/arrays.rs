//! Arguments: NumPy arrays, each C-contiguous and of one dtype, CSR matrices, integers; a refusal names the argument.
//!
//! A wrong type is a `TypeError`, a wrong form a `ValueError`. While an array is held its memory is borrowed as in
//! Rust: one that is written can be no other argument, here or in a call on another thread.

use numpy::ndarray::Dimension;
use numpy::{
    BorrowError, Element, Ix1, Ix2, PyArray, PyArray1, PyArray2, PyArrayDescrMethods, PyArrayMethods,
    PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2, PyUntypedArray, PyUntypedArrayMethods, dtype,
};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::csr::{Pattern, Ragged, Sparse};
use crate::error::Error;

/// An integer that an argument may be.
pub trait Whole: TryFrom<u64> {
    /// The largest one allowed.
    const MOST: u64;
    /// Those allowed, in words.
    const RANGE: &'static str;
}

/// A count or an offset, which fits the offsets of a matrix.
impl Whole for usize {
    const MOST: u64 = i64::MAX as u64;
    const RANGE: &'static str = "an integer from 0 to 2^63 - 1";
}

impl Whole for u64 {
    const MOST: u64 = u64::MAX;
    const RANGE: &'static str = "an integer from 0 to 2^64 - 1";
}

impl Whole for u32 {
    const MOST: u64 = u32::MAX as u64;
    const RANGE: &'static str = "an integer from 0 to 2^32 - 1";
}

/// An integer.
pub fn whole<T: Whole>(value: &Bound<'_, PyAny>, argument: &'static str) -> PyResult<T> {
    let number = match value.extract::<u64>() {
        Ok(number) => Some(number),
        // Negative, or too large.
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => None,
        Err(_) => {
            let kind = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!("`{argument}` is of type {kind}, expected an integer")));
        }
    };
    number.filter(|&number| number <= T::MOST).and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        // Python writes no more than some thousand digits.
        let got =
            value.str().map_or_else(|_| "an integer of too many digits".into(), |text| text.to_string());
        Error::Setting { argument, got, expected: T::RANGE }.into()
    })
}

/// What a matrix and its three arrays are called.
pub struct Names(&'static str, [&'static str; 3]);

/// The names of a matrix and its arrays, from the name of the matrix.
macro_rules! names {
    ($name:literal) => {
        Names($name, [concat!($name, ".indptr"), concat!($name, ".indices"), concat!($name, ".data")])
    };
}

/// The matrices that functions take.
pub const MATRIX: Names = Names("matrix", ["indptr", "indices", "data"]);
pub const LEFT: Names = names!("left");
pub const RIGHT: Names = names!("right");
pub const SEEN: Names = names!("seen");
pub const RELEVANT: Names = names!("relevant");

/// A CSR matrix as an argument: the tuple of its `indptr`, `indices` and `data`.
pub struct Csr<'py, I: Element = i32, V: Element = f32> {
    names: [&'static str; 3],
    indptr: PyReadonlyArray1<'py, i64>,
    indices: PyReadonlyArray1<'py, I>,
    data: PyReadonlyArray1<'py, V>,
}

impl<'py, I: Element, V: Element> Csr<'py, I, V> {
    /// Borrow the arrays.
    pub fn new(matrix: &Bound<'py, PyAny>, names: Names) -> PyResult<Self> {
        let Names(name, names) = names;
        let [indptr, indices, data] = parts(matrix, name)?;
        Ok(Self {
            names,
            indptr: vector(&indptr, names[0])?,
            indices: vector(&indices, names[1])?,
            data: vector(&data, names[2])?,
        })
    }

    /// The slices of its arrays.
    pub fn slices(&self) -> PyResult<(&[i64], &[I], &[V])> {
        Ok((self.indptr.as_slice()?, self.indices.as_slice()?, self.data.as_slice()?))
    }
}

/// The three arrays of a CSR matrix.
pub fn parts<'py>(matrix: &Bound<'py, PyAny>, name: &str) -> PyResult<[Bound<'py, PyAny>; 3]> {
    let arrays = matrix.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)>();
    arrays.map(|(indptr, indices, data)| [indptr, indices, data]).map_err(|_| {
        PyTypeError::new_err(format!("`{name}` is no tuple of three arrays: indptr, indices and data"))
    })
}

impl Csr<'_> {
    /// As a matrix whose rows are checked when they are used.
    pub fn sparse(&self) -> PyResult<Sparse<'_>> {
        let (indptr, indices, data) = self.slices()?;
        Ok(Sparse::new(self.names, indptr, indices, data)?)
    }

    /// Without its values.
    pub fn pattern(&self) -> PyResult<Pattern<'_>> {
        Ok(*self.sparse()?.pattern())
    }
}

/// `indptr`, `indices` and `data` of a CSR matrix.
pub type Arrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f32>>);

/// Sparse rows as the arrays of a CSR matrix.
pub fn arrays(py: Python<'_>, rows: Ragged) -> Arrays<'_> {
    let Ragged { indptr, indices, data } = rows;
    (PyArray1::from_vec(py, indptr), PyArray1::from_vec(py, indices), PyArray1::from_vec(py, data))
}

/// A vector to read.
pub fn vector<'py, T: Element>(array: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray1<'py, T>> {
    typed::<T, Ix1>(array, name)?.try_readonly().map_err(|error| refusal(name, &error))
}

/// A matrix to read.
pub fn matrix<'py, T: Element>(array: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray2<'py, T>> {
    typed::<T, Ix2>(array, name)?.try_readonly().map_err(|error| refusal(name, &error))
}

/// A matrix to write in place.
pub fn matrix_mut<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<PyReadwriteArray2<'py, T>> {
    typed::<T, Ix2>(array, name)?.try_readwrite().map_err(|error| refusal(name, &error))
}

/// A vector of bools as bytes: any byte is a bool to NumPy, but not to Rust.
pub fn flags<'py>(array: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray1<'py, u8>> {
    let bytes = typed::<bool, Ix1>(array, name)?.call_method1("view", ("uint8",))?;
    vector(&bytes, name)
}

/// Rows and columns of a matrix.
pub fn shape<T: Element>(matrix: &Bound<'_, PyArray2<T>>) -> (usize, usize) {
    (matrix.shape()[0], matrix.shape()[1])
}

/// Refuse a matrix that does not fit the other arguments.
pub fn expect_shape<T: Element>(
    matrix: &Bound<'_, PyArray2<T>>,
    argument: &'static str,
    expected: (usize, usize),
) -> Result<(), Error> {
    let got = shape(matrix);
    if got == expected { Ok(()) } else { Err(Error::Shape { argument, got, expected }) }
}

/// Whether the argument is an array of `T`, to choose between overloads.
pub fn is<T: Element>(array: &Bound<'_, PyAny>) -> bool {
    array.cast::<PyUntypedArray>().is_ok_and(|array| array.dtype().is_equiv_to(&dtype::<T>(array.py())))
}

fn typed<'py, T: Element, D: Dimension>(
    array: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<Bound<'py, PyArray<T, D>>> {
    let Ok(untyped) = array.cast::<PyUntypedArray>() else {
        let kind = array.get_type().name()?;
        return Err(PyTypeError::new_err(format!("`{name}` is of type {kind}, expected a NumPy array")));
    };
    let (got, expected) = (untyped.dtype(), dtype::<T>(array.py()));
    if !got.is_equiv_to(&expected) {
        return Err(PyTypeError::new_err(format!("`{name}` has dtype {got}, expected {expected}")));
    }
    if let Some(expected) = D::NDIM
        && untyped.ndim() != expected
    {
        let got = untyped.ndim();
        return Err(PyValueError::new_err(format!("`{name}` has {got} dimensions, expected {expected}")));
    }
    if !untyped.is_c_contiguous() || !untyped.is_aligned() {
        let message = format!("`{name}` is not C-contiguous and aligned, as a copy by numpy.array would be");
        return Err(PyValueError::new_err(message));
    }
    Ok(array.cast::<PyArray<T, D>>()?.clone())
}

fn refusal(name: &str, error: &BorrowError) -> PyErr {
    PyValueError::new_err(match error {
        BorrowError::AlreadyBorrowed => {
            format!(
                "`{name}` shares memory with another argument or with an array that a running call writes"
            )
        }
        BorrowError::NotWriteable => format!("`{name}` is read-only, but results are written into it"),
        _ => format!("`{name}` cannot be used: {error}"),
    })
}

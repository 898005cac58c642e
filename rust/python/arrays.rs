//! NumPy arrays as arguments: each is C-contiguous and of one dtype, and a refusal names the argument.
//!
//! A wrong type is a `TypeError`, a wrong form a `ValueError`. While an array is held its memory is borrowed as in
//! Rust: one that is written can be no other argument, here or in a call on another thread.

use numpy::ndarray::Dimension;
use numpy::{
    BorrowError, Element, Ix1, Ix2, PyArray, PyArray2, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1,
    PyReadonlyArray2, PyReadwriteArray2, PyUntypedArray, PyUntypedArrayMethods, dtype,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;

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

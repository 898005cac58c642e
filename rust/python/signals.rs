//! Ctrl-C during long kernels.

use std::cell::{Cell, OnceCell};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::error::Error;

/// How often to look for signals; each look waits for the GIL.
const INTERVAL: Duration = Duration::from_millis(50);

/// Run a kernel without the GIL; what it is given says whether a signal handler raised an exception meanwhile.
pub fn interruptible<T: Send>(
    py: Python<'_>,
    kernel: impl FnOnce(&dyn Fn() -> bool) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let (result, raised) = py.detach(|| {
        let (looked, raised) = (Cell::new(Instant::now()), OnceCell::new());
        let should_stop = || {
            if looked.get().elapsed() < INTERVAL {
                return false;
            }
            let error = Python::attach(|py| py.check_signals().err());
            looked.set(Instant::now());
            error.is_some_and(|error| raised.set(error).is_ok())
        };
        (kernel(&should_stop), raised.into_inner())
    });
    match raised {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}

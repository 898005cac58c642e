//! Ctrl-C during long kernels.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use pyo3::prelude::*;

use super::pool::pool;
use crate::error::Error;

/// How often to look for signals; each look waits for the GIL.
const INTERVAL: Duration = Duration::from_millis(50);

/// Run a kernel on the pool without the GIL; what it is given says whether a signal handler raised an exception meanwhile.
///
/// Only the thread that Python calls its main one sees signals, and it may be the one that called.
pub fn interruptible<T: Send>(
    py: Python<'_>,
    kernel: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let (result, raised) = py.detach(|| {
        let (stop, (done, result)) = (&AtomicBool::new(false), channel());
        let mut raised = None;
        let result = pool()?.in_place_scope(|scope| {
            scope.spawn(move |_| {
                let answer = kernel(&|| stop.load(Ordering::Relaxed));
                // The other end waits until there is an answer.
                let _ = done.send(answer);
            });
            loop {
                match result.recv_timeout(INTERVAL) {
                    Ok(answer) => break answer,
                    // It panicked, which the end of the scope passes on.
                    Err(RecvTimeoutError::Disconnected) => break Err(Error::Interrupted),
                    Err(RecvTimeoutError::Timeout) if raised.is_none() => {
                        raised = Python::attach(|py| py.check_signals().err());
                        stop.store(raised.is_some(), Ordering::Relaxed);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        });
        Ok::<_, Error>((result, raised))
    })?;
    match raised {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}

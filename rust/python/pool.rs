//! The threads that kernels run on, made anew in a process that was forked.
//!
//! A fork copies a pool of threads, and none of its threads: what is handed to it waits for ever. So each process makes
//! its own, in a place that its ancestors never touched, not even half-way.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// So many forks of forks have threads: a process takes the place after its nearest ancestor's.
const PLACES: usize = 64;

static POOLS: [OnceLock<ThreadPool>; PLACES] = [const { OnceLock::new() }; PLACES];

/// The process that asked last, in the upper half, and its place, in the lower; a child inherits its parent's.
static OWNER: AtomicU64 = AtomicU64::new(u64::MAX);

/// Run a kernel on the pool of this process without the GIL.
pub fn detached<T: Send>(py: Python<'_>, kernel: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    Ok(py.detach(|| pool()?.install(kernel))?)
}

/// Run a kernel of one thread where it was called, without the GIL: a hand-over to the pool takes 17 us, which is more
/// than most of these work. It may use nothing of rayon's, whose own pool a forked process would wait for.
pub fn in_place<T: Send>(py: Python<'_>, kernel: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    Ok(py.detach(kernel)?)
}

/// The pool of this process, made when it is first asked for.
pub fn pool() -> Result<&'static ThreadPool> {
    let place = POOLS.get(place(&OWNER, process::id())).ok_or(Error::Forks { most: PLACES })?;
    if let Some(pool) = place.get() {
        return Ok(pool);
    }
    let made =
        ThreadPoolBuilder::new().build().map_err(|error| Error::Threads { reason: error.to_string() })?;
    // Two may be first at once; either pool will do.
    Ok(place.get_or_init(|| made))
}

/// The place of a process: the one after its nearest ancestor's that has one.
fn place(owner: &AtomicU64, process: u32) -> usize {
    let mine = |last: u64| last != u64::MAX && (last >> 32) as u32 == process;
    let next = |last: u64| (u64::from(process) << 32) | u64::from((last as u32).wrapping_add(1));
    let last = owner
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| (!mine(last)).then(|| next(last)))
        .map_or_else(|mine| mine, next);
    last as u32 as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_has_a_place_of_its_own() {
        let owner = AtomicU64::new(u64::MAX);
        assert_eq!([7, 7, 9, 9, 7, u32::MAX].map(|process| place(&owner, process)), [0, 0, 1, 1, 2, 3]);
    }
}

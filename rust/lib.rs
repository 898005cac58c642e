//! Kernels of the `diffrec` recommender: the loops over users and items that neither NumPy nor torch does well.
//!
//! A kernel is a plain function over slices and works without Python; `cargo test` needs none.
//!
//! | module | what it does |
//! |---|---|
//! | [`csr`] | borrowed views of a user x item matrix |
//! | [`time_weight`] | weighs interactions by their age (T-DiffRec) |
//! | [`timeline`] | cuts histories into past and future, for forecasting |
//! | [`topk`] | merges blocks of scores into running top-K lists |
//! | [`neighbors`] | finds the items most like each item (item nearest neighbours, `RP3beta`) |
//! | [`products`] | scores histories by a matrix of items x items |
//! | [`als`] | half a step of alternating least squares (iALS) |
//! | [`dense`] | the small dense algebra of [`als`] |
//! | [`simd`] | the processor's instructions, and vectors to compute with |
//! | [`kmeans`] | groups points by k-means |
//! | [`negative_sampling`] | draws items a user does not have (LightGCN) |
//! | [`noised`] | gathers rows as noised training batches |
//! | [`noise`] | makes standard normal noise by its place |
//! | [`ranking_metrics`] | judges ranked lists against held-out items |
//! | [`error`] | every promise a caller can break |
//! | `python` | the module `diffrec._core`; the only place that knows Python |
//!
//! All kernels run on the rayon pool they are called on (in Python one of each process, forked ones too), give the same
//! bits for any number of threads, and answer bad input with an [`Error`], never a panic.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "results are promised to the bit"))]

pub mod als;
pub mod csr;
pub mod dense;
pub mod error;
pub mod kmeans;
pub mod negative_sampling;
pub mod neighbors;
pub mod noise;
pub mod noised;
pub mod products;
mod random;
pub mod ranking_metrics;
pub mod simd;
pub mod time_weight;
pub mod timeline;
pub mod topk;

#[cfg(feature = "python")]
mod python;

pub use error::{Error, Result};

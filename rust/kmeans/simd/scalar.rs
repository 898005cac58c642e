//! Plain arrays, which the compiler turns into whatever vectors the target always has.

use super::{MAX_WIDTH, Nearest, TILE, prefetch};
use std::array::from_fn;

type Vector = [f32; LANES];
const LANES: usize = 4;
const VECTORS: usize = 2;

#[inline]
fn splat(value: f32) -> Vector {
    [value; LANES]
}

#[inline]
fn load(from: &[f32; LANES]) -> Vector {
    *from
}

#[inline]
fn store(value: Vector, to: &mut [f32; LANES]) {
    *to = value;
}

// Not `mul_add`: without the instruction it is a call that computes the fused rounding in software.
#[inline]
fn add_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    from_fn(|i| sum[i] + a[i] * b[i])
}

#[inline]
fn subtract_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    from_fn(|i| sum[i] - a[i] * b[i])
}

#[inline]
fn subtract(a: Vector, b: Vector) -> Vector {
    from_fn(|i| a[i] - b[i])
}

#[inline]
fn min(a: Vector, b: Vector) -> Vector {
    from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
}

#[inline]
fn max(a: Vector, b: Vector) -> Vector {
    from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
}

/// `yes` in the lanes where `a < b`, else `no`.
#[inline]
fn where_less(a: Vector, b: Vector, yes: Vector, no: Vector) -> Vector {
    from_fn(|i| if a[i] < b[i] { yes[i] } else { no[i] })
}

nearest!();
squared_distances!();

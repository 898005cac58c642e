//! NEON: four lanes, 32 registers.

use super::{MAX_WIDTH, Nearest, TILE, prefetch};
use std::arch::aarch64::{
    float32x4_t, vbslq_f32, vcltq_f32, vdupq_n_f32, vfmaq_f32, vfmsq_f32, vld1q_f32, vmaxq_f32, vminq_f32,
    vst1q_f32, vsubq_f32,
};

type Vector = float32x4_t;
const LANES: usize = 4;
const VECTORS: usize = 4;

#[target_feature(enable = "neon")]
#[inline]
fn splat(value: f32) -> Vector {
    vdupq_n_f32(value)
}

#[target_feature(enable = "neon")]
#[inline]
fn load(from: &[f32; LANES]) -> Vector {
    // SAFETY: the reference covers the 4 floats read; the load needs no more than a float's alignment.
    unsafe { vld1q_f32(from.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn store(value: Vector, to: &mut [f32; LANES]) {
    // SAFETY: the reference covers the 4 floats written; the store needs no more than a float's alignment.
    unsafe { vst1q_f32(to.as_mut_ptr(), value) }
}

#[target_feature(enable = "neon")]
#[inline]
fn add_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    vfmaq_f32(sum, a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn subtract_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    vfmsq_f32(sum, a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn subtract(a: Vector, b: Vector) -> Vector {
    vsubq_f32(a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn min(a: Vector, b: Vector) -> Vector {
    vminq_f32(a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn max(a: Vector, b: Vector) -> Vector {
    vmaxq_f32(a, b)
}

/// `yes` in the lanes where `a < b`, else `no`.
#[target_feature(enable = "neon")]
#[inline]
fn where_less(a: Vector, b: Vector, yes: Vector, no: Vector) -> Vector {
    vbslq_f32(vcltq_f32(a, b), yes, no)
}

nearest!(#[target_feature(enable = "neon")]);
squared_distances!(#[target_feature(enable = "neon")]);

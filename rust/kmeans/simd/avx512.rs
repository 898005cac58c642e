//! AVX-512F: sixteen lanes, 32 registers.

use super::{MAX_WIDTH, Nearest, TILE, prefetch};
use std::arch::x86_64::{
    __m512, _CMP_LT_OQ, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps,
    _mm512_mask_mov_ps, _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps, _mm512_storeu_ps, _mm512_sub_ps,
};

type Vector = __m512;
const LANES: usize = 16;
const VECTORS: usize = 4;

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(value: f32) -> Vector {
    _mm512_set1_ps(value)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(from: &[f32; LANES]) -> Vector {
    // SAFETY: the reference covers the 16 floats read; the load needs no alignment.
    unsafe { _mm512_loadu_ps(from.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(value: Vector, to: &mut [f32; LANES]) {
    // SAFETY: the reference covers the 16 floats written; the store needs no alignment.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    _mm512_fmadd_ps(a, b, sum)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn subtract_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    _mm512_fnmadd_ps(a, b, sum)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn subtract(a: Vector, b: Vector) -> Vector {
    _mm512_sub_ps(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn min(a: Vector, b: Vector) -> Vector {
    _mm512_min_ps(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn max(a: Vector, b: Vector) -> Vector {
    _mm512_max_ps(a, b)
}

/// `yes` in the lanes where `a < b`, else `no`.
#[target_feature(enable = "avx512f")]
#[inline]
fn where_less(a: Vector, b: Vector, yes: Vector, no: Vector) -> Vector {
    _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), yes)
}

nearest!(#[target_feature(enable = "avx512f")]);
squared_distances!(#[target_feature(enable = "avx512f")]);

//! AVX2 with FMA: eight lanes, 16 registers.

use super::{MAX_WIDTH, Nearest, TILE, prefetch};
use std::arch::x86_64::{
    __m256, _CMP_LT_OQ, _mm256_blendv_ps, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps,
};

type Vector = __m256;
const LANES: usize = 8;
// Three vectors of points and one centroid beside the 12 sums fill the 16 registers.
const VECTORS: usize = 3;

#[target_feature(enable = "avx2,fma")]
#[inline]
fn splat(value: f32) -> Vector {
    _mm256_set1_ps(value)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn load(from: &[f32; LANES]) -> Vector {
    // SAFETY: the reference covers the 8 floats read; the load needs no alignment.
    unsafe { _mm256_loadu_ps(from.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn store(value: Vector, to: &mut [f32; LANES]) {
    // SAFETY: the reference covers the 8 floats written; the store needs no alignment.
    unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn add_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    _mm256_fmadd_ps(a, b, sum)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn subtract_product(sum: Vector, a: Vector, b: Vector) -> Vector {
    _mm256_fnmadd_ps(a, b, sum)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn subtract(a: Vector, b: Vector) -> Vector {
    _mm256_sub_ps(a, b)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn min(a: Vector, b: Vector) -> Vector {
    _mm256_min_ps(a, b)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn max(a: Vector, b: Vector) -> Vector {
    _mm256_max_ps(a, b)
}

/// `yes` in the lanes where `a < b`, else `no`.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn where_less(a: Vector, b: Vector, yes: Vector, no: Vector) -> Vector {
    _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
}

nearest!(#[target_feature(enable = "avx2,fma")]);
squared_distances!(#[target_feature(enable = "avx2,fma")]);

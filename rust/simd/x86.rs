//! Vectors of AVX2 and AVX-512.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use std::arch::x86_64::{
    __m256, __m512, __mmask16, _CMP_NLT_UQ, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps,
    _mm_movehl_ps, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps256_ps128, _mm256_cmp_ps,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_movemask_ps, _mm256_or_ps,
    _mm256_set1_ps, _mm256_storeu_ps, _mm512_castps_pd, _mm512_castps512_ps256, _mm512_cmp_ps_mask,
    _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_set1_ps,
    _mm512_storeu_ps,
};

use super::Vector;

/// Eight floats. Only made after the processor reported AVX2 and FMA, which makes the calls below sound.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

impl Vector for Avx2 {
    const LANES: usize = 8;
    type Mask = __m256;

    single_instructions!(_mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, |sum, a, b| _mm256_fmadd_ps(
        a, b, sum
    ));

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see the type.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        // SAFETY: see the type. Of a NaN and a number the instruction gives its second operand.
        Self(unsafe { _mm256_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn not_below(self, floor: Self) -> __m256 {
        // SAFETY: see the type.
        unsafe { _mm256_cmp_ps::<_CMP_NLT_UQ>(self.0, floor.0) }
    }

    #[inline(always)]
    fn either(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the type, without which there is no mask.
        unsafe { _mm256_or_ps(a, b) }
    }

    #[inline(always)]
    fn any(mask: __m256) -> bool {
        Self::bits(mask) != 0
    }

    #[inline(always)]
    fn bits(mask: __m256) -> u32 {
        // SAFETY: see the type, without which there is no mask.
        unsafe { _mm256_movemask_ps(mask) as u32 }
    }
}

/// Sixteen floats. Only made after the processor reported AVX-512F, AVX2 and FMA, which makes the calls below sound.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

impl Vector for Avx512 {
    const LANES: usize = 16;
    type Mask = __mmask16;

    single_instructions!(_mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, |sum, a, b| _mm512_fmadd_ps(
        a, b, sum
    ));

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see the type.
        let eight = unsafe {
            let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0)));
            Avx2(_mm256_add_ps(_mm512_castps512_ps256(self.0), upper))
        };
        eight.sum()
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        // SAFETY: see the type. Of a NaN and a number the instruction gives its second operand.
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn not_below(self, floor: Self) -> __mmask16 {
        // SAFETY: see the type.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(self.0, floor.0) }
    }

    #[inline(always)]
    fn either(a: __mmask16, b: __mmask16) -> __mmask16 {
        a | b
    }

    #[inline(always)]
    fn any(mask: __mmask16) -> bool {
        mask != 0
    }

    #[inline(always)]
    fn bits(mask: __mmask16) -> u32 {
        mask.into()
    }
}

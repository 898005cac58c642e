//! Vectors of the width this processor has, chosen when the program runs.
//!
//! A piece of work is written once over a [`Vector`] and compiled for each kind of processor; [`with_vectors`] picks.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

/// Some floats that are computed with at once. There is no other way to get one than through [`with_vectors`].
pub trait Vector: Copy {
    /// How many: a divisor of [`PADDING`].
    const LANES: usize;

    /// All lanes the same.
    fn splat(value: f32) -> Self;
    /// The first lanes of a slice.
    fn load(from: &[f32]) -> Self;
    /// Write to the start of a slice.
    fn store(self, to: &mut [f32]);
    /// `self + a * b`.
    #[must_use]
    fn add_product(self, a: Self, b: Self) -> Self;
    /// Sum of the lanes, by halves.
    fn sum(self) -> f32;
}

/// Rows of floats are padded with zeros to a multiple of this, so that loops over them have no remainder.
pub const PADDING: usize = 16;

/// The length to which rows of `width` are padded.
#[must_use]
pub fn padded(width: usize) -> usize {
    width.next_multiple_of(PADDING)
}

/// Something to do with vectors.
pub trait Work {
    /// What it gives.
    type Output;

    /// Do it. To be `#[inline(always)]` like all it calls, or it is not compiled for the processor.
    fn run<V: Vector>(self) -> Self::Output;
}

/// Do the work with the widest vectors of this processor.
#[inline]
pub fn with_vectors<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn run<W: Work>(work: W) -> W::Output {
            work.run::<x86::Avx2>()
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has both.
            return unsafe { run(work) };
        }
    }
    work.run::<Portable>()
}

/// Four floats: what the least of 64-bit processors compute with at once.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

impl Vector for Portable {
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        Self([from[0], from[1], from[2], from[3]])
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..4].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        // A fused multiply-add would be a function call where the processor has none.
        let fused = |lane: usize| {
            let (a, b, c) = (a.0[lane], b.0[lane], self.0[lane]);
            if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
        };
        Self([fused(0), fused(1), fused(2), fused(3)])
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
        _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
        _mm256_storeu_ps,
    };

    use super::Vector;

    /// Eight floats. Only made after the processor reported AVX2 and FMA, which makes the calls below sound.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(__m256);

    impl Vector for Avx2 {
        const LANES: usize = 8;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: see the type.
            Self(unsafe { _mm256_set1_ps(value) })
        }

        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from: &[f32] = &from[..Self::LANES];
            // SAFETY: see the type; the slice covers what is read, which needs no alignment.
            Self(unsafe { _mm256_loadu_ps(from.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to: &mut [f32] = &mut to[..Self::LANES];
            // SAFETY: see the type; the slice covers what is written, which needs no alignment.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: see the type.
            Self(unsafe { _mm256_fmadd_ps(a.0, b.0, self.0) })
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: see the type.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
            }
        }
    }
}

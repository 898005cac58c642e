//! Vectors of NEON.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use std::arch::aarch64::{
    float32x4_t, uint32x4_t, vadd_f32, vaddvq_u32, vandq_u32, vcltq_f32, vdupq_n_f32, vfmaq_f32,
    vget_high_f32, vget_low_f32, vld1q_f32, vld1q_u32, vmaxnmq_f32, vmaxvq_u32, vmvnq_u32, vorrq_u32,
    vpadds_f32, vst1q_f32,
};

use super::Vector;

/// Four floats. Only made after the processor reported NEON, which makes the calls below sound.
#[derive(Clone, Copy)]
pub(super) struct Neon(float32x4_t);

impl Vector for Neon {
    const LANES: usize = 4;
    type Mask = uint32x4_t;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the type.
        Self(unsafe { vdupq_n_f32(value) })
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from: &[f32] = &from[..Self::LANES];
        // SAFETY: see the type; the slice covers what is read, which needs no more than a float's alignment.
        Self(unsafe { vld1q_f32(from.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to: &mut [f32] = &mut to[..Self::LANES];
        // SAFETY: see the type; the slice covers what is written, which needs no more than a float's alignment.
        unsafe { vst1q_f32(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: see the type.
        Self(unsafe { vfmaq_f32(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see the type.
        unsafe { vpadds_f32(vadd_f32(vget_low_f32(self.0), vget_high_f32(self.0))) }
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        // SAFETY: see the type. Of a NaN and a number this instruction gives the number.
        Self(unsafe { vmaxnmq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn not_below(self, floor: Self) -> uint32x4_t {
        // SAFETY: see the type.
        unsafe { vmvnq_u32(vcltq_f32(self.0, floor.0)) }
    }

    #[inline(always)]
    fn either(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        // SAFETY: see the type, without which there is no mask.
        unsafe { vorrq_u32(a, b) }
    }

    #[inline(always)]
    fn any(mask: uint32x4_t) -> bool {
        // SAFETY: see the type, without which there is no mask.
        unsafe { vmaxvq_u32(mask) != 0 }
    }

    #[inline(always)]
    fn bits(mask: uint32x4_t) -> u32 {
        // SAFETY: see the type, without which there is no mask; the array covers the 4 integers read.
        unsafe { vaddvq_u32(vandq_u32(mask, vld1q_u32([1, 2, 4, 8].as_ptr()))) }
    }
}

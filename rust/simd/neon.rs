//! Vectors of NEON.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use std::arch::aarch64::{
    float32x4_t, uint32x4_t, vadd_f32, vaddvq_u32, vandq_u32, vbslq_f32, vcgtq_f32, vcltq_f32, vdupq_n_f32,
    vfmaq_f32, vget_high_f32, vget_low_f32, vld1q_f32, vld1q_u32, vmaxvq_u32, vmvnq_u32, vorrq_u32,
    vpadds_f32, vst1q_f32,
};

use super::Vector;

/// Four floats. Only made after the processor reported NEON, which makes the calls below sound.
#[derive(Clone, Copy)]
pub(super) struct Neon(float32x4_t);

impl Vector for Neon {
    const LANES: usize = 4;
    type Mask = uint32x4_t;

    single_instructions!(vdupq_n_f32, vld1q_f32, vst1q_f32, |sum, a, b| vfmaq_f32(sum, a, b));

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see the type.
        unsafe { vpadds_f32(vadd_f32(vget_low_f32(self.0), vget_high_f32(self.0))) }
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        // SAFETY: see the type. Not `vmaxnmq_f32`, which gives the number only beside a quiet NaN.
        Self(unsafe { vbslq_f32(vcgtq_f32(self.0, other.0), self.0, other.0) })
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

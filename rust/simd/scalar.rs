//! Plain arrays, which the compiler turns into whatever vectors the target always has.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use std::array::from_fn;

use super::Vector;

/// Four floats: what the least of 64-bit processors compute with at once.
#[derive(Clone, Copy)]
pub(super) struct Scalar([f32; 4]);

impl Vector for Scalar {
    const LANES: usize = 4;
    type Mask = [bool; 4];

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

    // Not `mul_add`: without the instruction it is a call that computes the fused rounding in software.
    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        Self(from_fn(|lane| a.0[lane] * b.0[lane] + self.0[lane]))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        Self(from_fn(|lane| if self.0[lane] > other.0[lane] { self.0[lane] } else { other.0[lane] }))
    }

    #[inline(always)]
    fn not_below(self, floor: Self) -> [bool; 4] {
        // Not `>=`, which NaN is not either.
        #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is below nothing")]
        from_fn(|lane| !(self.0[lane] < floor.0[lane]))
    }

    #[inline(always)]
    fn either(a: [bool; 4], b: [bool; 4]) -> [bool; 4] {
        from_fn(|lane| a[lane] | b[lane])
    }

    #[inline(always)]
    fn any([a, b, c, d]: [bool; 4]) -> bool {
        a | b | c | d
    }

    #[inline(always)]
    fn bits(mask: [bool; 4]) -> u32 {
        (0..4).fold(0, |bits, lane| bits | u32::from(mask[lane]) << lane)
    }
}

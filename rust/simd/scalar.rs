//! Plain arrays, which the compiler turns into whatever vectors the target always has.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use super::Vector;

/// Four floats: what the least of 64-bit processors compute with at once.
#[derive(Clone, Copy)]
pub(super) struct Scalar([f32; 4]);

impl Vector for Scalar {
    const LANES: usize = 4;
    /// All bits set or none.
    type Mask = [u32; 4];

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
        Self(std::array::from_fn(|lane| a.0[lane] * b.0[lane] + self.0[lane]))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        let one = |lane: usize| if self.0[lane] > other.0[lane] { self.0[lane] } else { other.0[lane] };
        Self(std::array::from_fn(one))
    }

    #[inline(always)]
    fn not_below(self, floor: Self) -> [u32; 4] {
        std::array::from_fn(|lane| if self.0[lane] < floor.0[lane] { 0 } else { u32::MAX })
    }

    #[inline(always)]
    fn either(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        std::array::from_fn(|lane| a[lane] | b[lane])
    }

    #[inline(always)]
    fn bits([a, b, c, d]: [u32; 4]) -> u32 {
        a & 1 | b & 2 | c & 4 | d & 8
    }
}

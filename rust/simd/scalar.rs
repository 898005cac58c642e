//! Plain arrays, which the compiler turns into whatever vectors the target always has.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

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
        Self(std::array::from_fn(|lane| a.0[lane] * b.0[lane] + self.0[lane]))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([greater(a, e), greater(b, f), greater(c, g), greater(d, h)])
    }

    #[inline(always)]
    fn not_below(self, floor: Self) -> [bool; 4] {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, floor.0);
        [not_below(a, e), not_below(b, f), not_below(c, g), not_below(d, h)]
    }

    #[inline(always)]
    fn either([a, b, c, d]: [bool; 4], [e, f, g, h]: [bool; 4]) -> [bool; 4] {
        [a | e, b | f, c | g, d | h]
    }

    #[inline(always)]
    fn any([a, b, c, d]: [bool; 4]) -> bool {
        a | b | c | d
    }

    #[inline(always)]
    fn bits([a, b, c, d]: [bool; 4]) -> u32 {
        u32::from(a) | u32::from(b) << 1 | u32::from(c) << 2 | u32::from(d) << 3
    }
}

#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is below nothing")]
fn not_below(score: f32, floor: f32) -> bool {
    !(score < floor)
}

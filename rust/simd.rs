//! Vectors of the width this processor has, chosen when the program runs.
//!
//! A piece of work is written once over a [`Vector`] and compiled for each [`Level`]; [`with_vectors`] runs the one
//! asked for.

/// What is one instruction each, of a vector whose instructions may be used by whoever has one.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! single_instructions {
    ($splat:ident, $load:ident, $store:ident, |$sum:ident, $a:ident, $b:ident| $add_product:expr) => {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: see the type.
            Self(unsafe { $splat(value) })
        }

        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from: &[f32] = &from[..Self::LANES];
            // SAFETY: see the type; the slice covers what is read, which needs no more than a float's alignment.
            Self(unsafe { $load(from.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to: &mut [f32] = &mut to[..Self::LANES];
            // SAFETY: see the type; the slice covers what is written, which needs no more than a float's alignment.
            unsafe { $store(to.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn add_product(self, a: Self, b: Self) -> Self {
            let ($sum, $a, $b) = (self.0, a.0, b.0);
            // SAFETY: see the type.
            Self(unsafe { $add_product })
        }
    };
}

mod level;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use level::Isa;
pub use level::{Level, VARIABLE};

/// Some floats that are computed with at once. There is no other way to get one than through [`with_vectors`].
pub trait Vector: Copy {
    /// How many: a divisor of [`PADDING`].
    const LANES: usize;
    /// A yes or no per lane.
    type Mask: Copy;

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
    /// The greater of each two lanes; `other`, which has no NaN, where `self` is NaN.
    #[must_use]
    fn greater(self, other: Self) -> Self;
    /// Where `self` is not below `floor`; NaN is below nothing.
    fn not_below(self, floor: Self) -> Self::Mask;
    /// Where at least one of two masks says yes.
    fn either(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Whether a mask says yes anywhere.
    fn any(mask: Self::Mask) -> bool;
    /// A mask as one bit per lane, the first lane's lowest.
    fn bits(mask: Self::Mask) -> u32;
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
    /// The most lanes it can do with: here half of [`PADDING`], so that a loop may take two vectors at a time.
    const WIDEST: usize = PADDING / 2;

    /// Do it. To be `#[inline(always)]` like all it calls, or it is not compiled for the level.
    fn run<V: Vector>(self) -> Self::Output;
}

/// Do the work with the widest vectors of this level that it allows.
#[inline]
pub fn with_vectors<W: Work>(level: Level, work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn with_avx512<W: Work>(work: W) -> W::Output {
        work.run::<x86::Avx512>()
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn with_avx2<W: Work>(work: W) -> W::Output {
        work.run::<x86::Avx2>()
    }
    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    fn with_neon<W: Work>(work: W) -> W::Output {
        work.run::<neon::Neon>()
    }
    match level.isa() {
        // SAFETY: a level with this is made only after the processor reported AVX-512F, AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if W::WIDEST >= x86::Avx512::LANES => unsafe { with_avx512(work) },
        // SAFETY: levels with these are made only after the processor reported AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx2 => unsafe { with_avx2(work) },
        // SAFETY: a level with this is made only after the processor reported NEON.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { with_neon(work) },
        Isa::Scalar => work.run::<scalar::Scalar>(),
    }
}

#[cfg(test)]
#[expect(clippy::inline_always, reason = "as for all works")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A NaN that some instructions treat otherwise than the usual, quiet ones.
    const SIGNALLING: f32 = f32::from_bits(0x7FA0_0000);

    /// Every operation on the first lanes of three slices.
    struct Everything<'a>([&'a [f32]; 3]);

    #[derive(Debug, PartialEq)]
    struct Results {
        lanes: usize,
        sum: f32,
        product: Vec<f32>,
        greater: Vec<f32>,
        mask: u32,
        either: u32,
        any: [bool; 2],
    }

    impl Work for Everything<'_> {
        type Output = Results;
        const WIDEST: usize = PADDING;

        #[inline(always)]
        fn run<V: Vector>(self) -> Results {
            let [a, b, c] = self.0.map(V::load);
            let all = |vector: V| {
                let mut out = vec![0.0; V::LANES];
                vector.store(&mut out);
                out
            };
            let (over, same) = (b.not_below(c), a.not_below(V::splat(0.0)));
            Results {
                lanes: V::LANES,
                sum: a.sum(),
                product: all(a.add_product(b, c)),
                greater: all(b.greater(c)),
                mask: V::bits(over),
                either: V::bits(V::either(over, same)),
                any: [V::any(over), V::any(same)],
            }
        }
    }

    proptest! {
        #[test]
        fn every_level_does_what_each_operation_says(
            a in prop::collection::vec((-9..9_i8).prop_map(f32::from), PADDING),
            b in prop::collection::vec(
                prop_oneof![
                    (-9..9_i8).prop_map(f32::from),
                    Just(f32::NAN), Just(-f32::NAN), Just(SIGNALLING), Just(f32::INFINITY), Just(f32::NEG_INFINITY),
                ],
                PADDING,
            ),
            c in prop::collection::vec((-9..9_i8).prop_map(f32::from), PADDING),
        ) {
            for level in Level::available() {
                let found = with_vectors(level, Everything([&a, &b, &c]));
                let lanes = 0..found.lanes;
                let bits = |which: &dyn Fn(usize) -> bool| {
                    lanes.clone().fold(0, |bits, lane| bits | u32::from(which(lane)) << lane)
                };
                let over = |lane: usize| b[lane].is_nan() || b[lane] >= c[lane];
                prop_assert_eq!(found.sum, a[lanes.clone()].iter().sum::<f32>(), "{}", level);
                for lane in lanes.clone() {
                    let product = a[lane] + b[lane] * c[lane];
                    prop_assert!(found.product[lane] == product || product.is_nan(), "{} {}", level, lane);
                    let greater = if b[lane] > c[lane] { b[lane] } else { c[lane] };
                    prop_assert_eq!(found.greater[lane], greater, "{} {}", level, lane);
                }
                prop_assert_eq!(found.mask, bits(&over), "{}", level);
                prop_assert_eq!(found.either, bits(&|lane| over(lane) || a[lane] >= 0.0), "{}", level);
                prop_assert_eq!(found.any, [bits(&over) != 0, bits(&|lane| a[lane] >= 0.0) != 0], "{}", level);
            }
        }
    }
}

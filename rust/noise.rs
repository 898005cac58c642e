//! Standard normal noise that is a function of where it stands: (seed, step, row, column).
//!
//! Nothing is drawn in turn, so results depend neither on the number of threads nor on how a batch is cut, and noise
//! can be made again instead of being kept. The bits come from Philox4x32-10 (Salmon et al. 2011, "Parallel random
//! numbers: as easy as 1, 2, 3"), the normals from the Box-Muller transform. All arithmetic is written in operations that
//! IEEE 754 rounds exactly, none of them fused, so every processor gives the same bits.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use rayon::prelude::*;

use crate::error::{Result, expect_length};
use crate::simd::{Level, PADDING, Vector, Work, with_vectors};

/// Columns whose noise is made at once.
pub const CHUNK: usize = 4 * LANES;

/// Philox blocks computed side by side, each of four words.
const LANES: usize = 16;

type Words = [u32; LANES];

/// What is drawn at a place; each purpose has bits of its own.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Normal = 0,
    Uniform = 1,
}

/// The noise of one row at one step.
#[derive(Debug, Clone, Copy)]
pub struct RowNoise {
    seed: u64,
    step: u32,
    row: u64,
}

impl RowNoise {
    /// `row` is any number that tells the rows apart.
    #[must_use]
    pub fn new(seed: u64, step: u32, row: i64) -> Self {
        Self { seed, step, row: row as u64 }
    }

    /// Standard normals of the columns `chunk * CHUNK ..`.
    #[inline(always)]
    pub(crate) fn normals(&self, chunk: usize) -> [f32; CHUNK] {
        let [a, b, c, d] = self.words(Purpose::Normal, chunk);
        let mut out = [0.0; CHUNK];
        for lane in 0..LANES {
            let ((first, second), (third, fourth)) =
                (box_muller(a[lane], b[lane]), box_muller(c[lane], d[lane]));
            out[lane] = first;
            out[LANES + lane] = second;
            out[2 * LANES + lane] = third;
            out[3 * LANES + lane] = fourth;
        }
        out
    }

    /// For the columns `chunk * CHUNK ..`: `low` where a uniform number lies below `share`, else `high`.
    #[inline(always)]
    pub(crate) fn choose(&self, chunk: usize, share: f32, low: f32, high: f32) -> [f32; CHUNK] {
        let words = self.words(Purpose::Uniform, chunk);
        // In 31 bits, which every instruction set compares as signed numbers.
        let threshold = (f64::from(share) * f64::from(1_u32 << 31)) as i32;
        let mut out = [0.0; CHUNK];
        for (out, words) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(&words) {
            for lane in 0..LANES {
                out[lane] = if ((words[lane] >> 1) as i32) < threshold { low } else { high };
            }
        }
        out
    }

    #[inline(always)]
    fn words(&self, purpose: Purpose, chunk: usize) -> [Words; 4] {
        let mut block = [0; LANES];
        for (lane, block) in block.iter_mut().enumerate() {
            *block = (chunk * LANES + lane) as u32;
        }
        // The purpose takes bit 56 of the row: of two that differ in that bit alone, one draws its normals from the
        // words the other has for its uniforms. Rows of a matrix are below it; keys may be anything.
        let upper = (self.row >> 32) as u32 ^ ((purpose as u32) << 24);
        philox([block, [self.row as u32; LANES], [self.step; LANES], [upper; LANES]], self.seed)
    }
}

/// Philox4x32-10 of [`LANES`] counters under one key.
#[inline(always)]
fn philox(counter: [Words; 4], seed: u64) -> [Words; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let (mut key_low, mut key_high) = (seed as u32, (seed >> 32) as u32);
    for _ in 0..10 {
        for lane in 0..LANES {
            let first = u64::from(a[lane]) * 0xD251_1F53;
            let second = u64::from(c[lane]) * 0xCD9E_8D57;
            a[lane] = (second >> 32) as u32 ^ b[lane] ^ key_low;
            b[lane] = second as u32;
            c[lane] = (first >> 32) as u32 ^ d[lane] ^ key_high;
            d[lane] = first as u32;
        }
        key_low = key_low.wrapping_add(0x9E37_79B9);
        key_high = key_high.wrapping_add(0xBB67_AE85);
    }
    [a, b, c, d]
}

/// Two independent standard normals from two words.
#[inline(always)]
fn box_muller(a: u32, b: u32) -> (f32, f32) {
    let radius = (-2.0 * ln_of_unit(a)).sqrt();
    let (sin, cos) = sin_cos_of_turn(b);
    (radius * cos, radius * sin)
}

/// Natural logarithm of the word as a number in (0, 1].
#[inline(always)]
fn ln_of_unit(word: u32) -> f32 {
    let unit = ((word >> 1) as i32 as f32 + 0.5) * (1.0 / (1_u32 << 31) as f32);
    // unit = mantissa * 2^exponent with the mantissa in [sqrt(1/2), sqrt(2)).
    let shifted = unit.to_bits().wrapping_sub(0x3F35_04F3);
    let exponent = (shifted as i32 >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007F_FFFF).wrapping_add(0x3F35_04F3));
    // ln m = 2 artanh s, s = (m - 1) / (m + 1), of which five terms leave an error below 1e-9.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = 1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0 + square * (1.0 / 9.0))));
    exponent * std::f32::consts::LN_2 + 2.0 * s * series
}

/// Sine and cosine of the word as a fraction of a turn.
#[inline(always)]
fn sin_cos_of_turn(word: u32) -> (f32, f32) {
    // The upper two bits are the quarter, the others an angle from -45 to 45 degrees around its start.
    let angle = (word << 2) as i32 as f32 * (std::f32::consts::FRAC_PI_2 / 4_294_967_296.0);
    let square = angle * angle;
    let tail = -1.0 / 5040.0 + square * (1.0 / 362_880.0);
    let sin = angle * (1.0 + square * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * tail)));
    let tail = -1.0 / 720.0 + square * (1.0 / 40_320.0);
    let cos = 1.0 + square * (-0.5 + square * (1.0 / 24.0 + square * tail));
    let quarter = word >> 30;
    let (sin, cos) = if quarter & 1 == 0 { (sin, cos) } else { (cos, -sin) };
    let turned = (quarter & 2) << 30;
    (f32::from_bits(sin.to_bits() ^ turned), f32::from_bits(cos.to_bits() ^ turned))
}

/// Write the noise of `rows` at the columns `first_column ..` into `out`, `(rows.len(), width)` in C order.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) if `out` has another size, [`Error::Level`](crate::Error::Level) as
/// [`Level::current`].
pub fn normal_rows(
    seed: u64,
    step: u32,
    rows: &[i64],
    first_column: usize,
    width: usize,
    out: &mut [f32],
) -> Result<()> {
    expect_length("out", out.len(), rows.len() * width)?;
    let level = Level::current()?;
    if width > 0 {
        out.par_chunks_mut(width).zip(rows).for_each(|(out, &row)| {
            with_vectors(level, Fill { noise: RowNoise::new(seed, step, row), first_column, out });
        });
    }
    Ok(())
}

struct Fill<'a> {
    noise: RowNoise,
    first_column: usize,
    out: &'a mut [f32],
}

impl Work for Fill<'_> {
    type Output = ();
    const WIDEST: usize = PADDING;

    /// In plain loops over [`LANES`], which the compiler turns into vectors of the level.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Fill { noise, first_column, mut out } = self;
        let (mut chunk, mut skip) = (first_column / CHUNK, first_column % CHUNK);
        while !out.is_empty() {
            let normals = noise.normals(chunk);
            let (now, later) = out.split_at_mut(out.len().min(CHUNK - skip));
            now.copy_from_slice(&normals[skip..skip + now.len()]);
            (out, chunk, skip) = (later, chunk + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use proptest::prelude::*;

    fn normals(seed: u64, step: u32, rows: &[i64], first_column: usize, width: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; rows.len() * width];
        normal_rows(seed, step, rows, first_column, width, &mut out).expect("sizes agree");
        out
    }

    #[test]
    fn philox_gives_the_published_words() {
        let words =
            |counter: [u32; 4], seed| philox(counter.map(|word| [word; LANES]), seed).map(|word| word[3]);
        assert_eq!(words([0; 4], 0), [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]);
        assert_eq!(words([u32::MAX; 4], u64::MAX), [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]);
    }

    #[test]
    fn the_approximations_are_exact_to_single_precision() {
        for i in 0..100_000_u32 {
            let word = i.wrapping_mul(2_654_435_761);
            let unit = (f64::from(word >> 1) + 0.5) / f64::from(1_u32 << 31);
            assert!((f64::from(ln_of_unit(word)) - unit.ln()).abs() < 2e-6, "{word}");
            let turn = f64::from(word >> 30) / 4.0 + f64::from((word << 2) as i32) / 4.0 / 4_294_967_296.0;
            let (sin, cos) = (turn * std::f64::consts::TAU).sin_cos();
            let found = sin_cos_of_turn(word);
            assert!(
                (f64::from(found.0) - sin).abs() < 1e-6 && (f64::from(found.1) - cos).abs() < 1e-6,
                "{word}"
            );
        }
        for word in [0, 1, u32::MAX, 1 << 31] {
            assert!(ln_of_unit(word).is_finite() && ln_of_unit(word) <= 0.0, "{word}");
        }
    }

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        let noise = normals(1, 2, &(0..100).collect::<Vec<_>>(), 0, 10_000);
        let mean = |power: i32| noise.iter().map(|&z| f64::from(z).powi(power)).sum::<f64>() / 1e6;
        // Standard deviations of these means: 0.001, 0.0014, 0.0039, 0.0098.
        for (power, expected, tolerance) in [(1, 0.0, 0.005), (2, 1.0, 0.007), (3, 0.0, 0.02), (4, 3.0, 0.05)]
        {
            assert!((mean(power) - expected).abs() < tolerance, "moment {power} is {}", mean(power));
        }
        let beyond = noise.iter().filter(|z| z.abs() > 3.0).count() as f64 / 1e6;
        assert!((beyond - 0.0027).abs() < 0.0003, "{beyond}");
        // Neighbours in a row, in a column, at the next step and under the next seed have nothing in common.
        let with = |other: Vec<f32>| {
            noise.iter().zip(other).map(|(&a, b)| f64::from(a) * f64::from(b)).sum::<f64>() / 1e6
        };
        let rows = |first| (first..first + 100).collect::<Vec<_>>();
        for other in [
            normals(1, 2, &rows(0), 1, 10_000),
            normals(1, 2, &rows(0), 16, 10_000),
            normals(1, 2, &rows(1), 0, 10_000),
            normals(1, 3, &rows(0), 0, 10_000),
            normals(2, 2, &rows(0), 0, 10_000),
        ] {
            assert!(with(other).abs() < 0.005);
        }
    }

    #[test]
    fn choices_have_their_share() {
        for share in [0.0, 0.1, 0.5, 0.9] {
            let noise = RowNoise::new(3, 4, 5);
            let low: usize = (0..1000)
                .map(|chunk| noise.choose(chunk, share, 1.0, 0.0).iter().filter(|&&one| one == 1.0).count())
                .sum();
            assert!((low as f64 / 64_000.0 - f64::from(share)).abs() < 0.01, "{share} {low}");
        }
    }

    proptest! {
        #[test]
        fn a_place_has_one_value_however_the_batch_is_cut(first in 0..300_usize, width in 0..200_usize, row in 0..5_i64) {
            let whole = normals(7, 8, &[0, 1, 2, 3, 4], 0, 500);
            let expected = &whole[row as usize * 500 + first..][..width];
            prop_assert_eq!(normals(7, 8, &[row], first, width), expected);
        }
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        for level in Level::available() {
            let mut out = vec![0.0; 333];
            with_vectors(level, Fill { noise: RowNoise::new(9, 1, 2), first_column: 5, out: &mut out });
            assert_eq!(normals(9, 1, &[2], 5, 333), out, "{level}");
        }
    }

    #[test]
    fn a_wrong_size_is_an_error() {
        let error = Error::Length { argument: "out", got: 5, expected: 6 };
        assert_eq!(normal_rows(0, 0, &[1, 2], 0, 3, &mut [0.0; 5]), Err(error));
        assert_eq!(normal_rows(0, 0, &[1, 2], 0, 0, &mut []), Ok(()));
    }
}

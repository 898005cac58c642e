//! Rounded points and centroids: scores at half the cost, with a bound that says where they are good enough.

use rayon::prelude::*;

use super::centroids::Centroids;
use super::points::{CHUNK, Panels, write_lane};
use super::simd::{Nearest, Rough, TILE};

/// Points longer than this many times the root mean square length are left to the exact scores, lest a single one
/// far out loosen the bound of all.
const TAME: f32 = 2.0;

/// The points with coordinates rounded to 8 significant bits.
pub(super) struct Sketch {
    kernel: Rough,
    dim: usize,
    width: usize,
    /// panels x pairs x width: two coordinates in the bits of a float.
    values: Vec<f32>,
    /// Whether a point keeps to the two bounds below.
    pub(super) tame: Vec<bool>,
    /// The largest distance of a point from its rounded form.
    error: f32,
    /// The largest length of a point.
    norm: f32,
}

/// The centroids rounded likewise.
pub(super) struct Outline {
    /// tiles x pairs x [`TILE`], with turned signs.
    values: Vec<f32>,
    /// As exact, less the most by which a rounded score can be wrong.
    bias: Vec<f32>,
    /// The rounded score of a tame point is at most this much below the exact one, and never above it.
    pub(super) slack: Vec<f32>,
}

impl Sketch {
    /// None where the processor has no use for it.
    pub(super) fn new(panels: &Panels) -> Option<Self> {
        let kernel = Rough::detect(panels.level)?;
        let (dim, width, lanes) = (panels.dim, panels.width(), panels.lanes());
        let pairs = dim.div_ceil(2);
        let mut values = vec![0.0; pairs * lanes];
        let (mut errors, mut norms) = (vec![0.0; lanes], vec![0.0; lanes]);
        let chunks = values.par_chunks_mut(pairs * CHUNK).zip(panels.chunks());
        let bounds = errors.par_chunks_mut(CHUNK).zip(norms.par_chunks_mut(CHUNK));
        chunks.zip(bounds).for_each(|((out, chunk), (errors, norms))| {
            let panels = chunk.chunks_exact(dim * width).zip(out.chunks_exact_mut(pairs * width));
            let bounds = errors.chunks_exact_mut(width).zip(norms.chunks_exact_mut(width));
            panels.zip(bounds).for_each(|((panel, out), (errors, norms))| draw(panel, out, errors, norms));
        });
        let squares: f64 = norms.iter().map(|&norm| f64::from(norm)).sum();
        let limit = TAME * TAME * (squares / panels.rows as f64) as f32;
        let tame: Vec<bool> = norms.iter().map(|&norm| norm <= limit).collect();
        let largest = |squares: &[f32]| {
            let tame = squares.iter().zip(&tame).filter(|(_, tame)| **tame);
            tame.fold(0.0_f32, |largest, (&square, _)| largest.max(square)).sqrt()
        };
        let (error, norm) = (largest(&errors), largest(&norms));
        Some(Self { kernel, dim, width, values, tame, error, norm })
    }

    /// Score the panel that starts at a point.
    pub(super) fn nearest(&self, first: usize, outline: &Outline, near: &mut Nearest) {
        let pairs = self.dim.div_ceil(2);
        let size = pairs * self.width;
        let (panel, rest) = self.values[first * pairs..].split_at(size);
        self.kernel.nearest(panel, &rest[..rest.len().min(size)], &outline.values, &outline.bias, near);
    }
}

/// Round a panel; the squares of the points' lengths and of how far they moved.
fn draw(panel: &[f32], out: &mut [f32], errors: &mut [f32], norms: &mut [f32]) {
    let width = errors.len();
    for (rows, out) in panel.chunks(2 * width).zip(out.chunks_exact_mut(width)) {
        let (low, high) = rows.split_at(width);
        for (lane, out) in out.iter_mut().enumerate() {
            let (low, high) = (low[lane], high.get(lane).copied().unwrap_or_default());
            *out = pair(round(low), round(high));
            errors[lane] += square(low - round(low)) + square(high - round(high));
            norms[lane] += square(low) + square(high);
        }
    }
}

impl Outline {
    /// Round all centroids.
    ///
    /// With x', c' for the rounded x, c, the products differ by `x'.c' - x.c = (x' - x).c + x'.(c' - c)`, at most
    /// `|x' - x| |c| + |x'| |c' - c|`. Besides, the rough and the exact kernel round their sums of d terms, together
    /// by at most `(2d + 4) eps (|bias| + |x| |c|)`.
    pub(super) fn new(sketch: &Sketch, centroids: &Centroids) -> Self {
        let (dim, pairs) = (sketch.dim, sketch.dim.div_ceil(2));
        let exact = centroids.all();
        let mut values = vec![0.0; exact.bias.len() * pairs];
        let (mut bias, mut slack) = (exact.bias, vec![0.0; exact.ids.len()]);
        let rounding = (2 * dim + 4) as f32 * f32::EPSILON;
        for (id, slack) in slack.iter_mut().enumerate() {
            let place = centroids.place_of(id);
            let turned = place
                .chunks(2)
                .map(|two| pair(round(-two[0]), round(-two.get(1).copied().unwrap_or_default())));
            let tile = id / TILE * TILE * pairs;
            write_lane(&mut values[tile..tile + TILE * pairs], id % TILE, TILE, turned);
            let norm = place.iter().map(|&c| square(c)).sum::<f32>().sqrt();
            let error = place.iter().map(|&c| square(c - round(c))).sum::<f32>().sqrt();
            // The bound is rounded itself, and |x'| exceeds |x| by up to 1/256: the margin is wider than both. What
            // is added covers numbers so small that the processor takes them for 0.
            let wrong =
                sketch.error * norm + sketch.norm * error + rounding * (bias[id].abs() + sketch.norm * norm);
            let wrong = 1.02 * wrong + 1e-30;
            bias[id] -= wrong;
            *slack = 2.0 * wrong;
        }
        Self { values, bias, slack }
    }
}

fn square(x: f32) -> f32 {
    x * x
}

/// The nearest number with 8 significant bits, ties to even.
fn round(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
}

/// Two rounded numbers in one float, the first in its lower half.
fn pair(low: f32, high: f32) -> f32 {
    f32::from_bits(high.to_bits() | low.to_bits() >> 16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kmeans::points::{Points, Space};
    use crate::random::Random;
    use crate::simd::Level;

    #[test]
    fn rounds_to_eight_bits_and_ties_to_even() {
        for (x, rounded) in [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (1.0 + 1.1 / 256.0, 1.0 + 2.0 / 256.0),
            (-3.999, -4.0),
            (0.0, 0.0),
        ] {
            assert_eq!(round(x).to_bits(), f32::to_bits(rounded), "{x}");
        }
        let both = pair(round(0.3), round(-7.1)).to_bits();
        assert_eq!((both << 16, both & 0xFFFF_0000), (round(0.3).to_bits(), round(-7.1).to_bits()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn rounded_scores_are_wrong_by_no_more_than_they_say(
            rows in 1..150_usize,
            dim in 1..70_usize,
            k in 1..12_usize,
            power in 1..9,
            scale in prop_oneof![Just(1.0_f32), Just(1e-30), Just(1e30)],
            seed: u64,
        ) {
            let mut random = Random::new(seed);
            // The higher the power, the farther out a few points and centroids lie.
            let mut numbers = |count: usize| -> Vec<f32> {
                (0..count).map(|_| (random.unit() as f32 * 2.0 - 1.0).powi(power) * scale).collect()
            };
            let (values, places) = (numbers(rows * dim), numbers(k * dim));
            let points = Points::new("points", &values, (rows, dim))?;
            let reach = Points::new("init", &places, (k, dim))?.largest();
            let space = Space::new(Level::current()?, &points, reach);
            let Some(sketch) = Sketch::new(&space.panels) else { return Ok(()) };
            let centroids = Centroids::new(places, dim, &space.frame);
            let (outline, all) = (Outline::new(&sketch, &centroids), centroids.all());
            let (mut rough, mut exact) = (Nearest::new(), Nearest::new());
            for (i, (panel, _)) in space.panels.chunk(0).enumerate() {
                let first = i * space.panels.width();
                sketch.nearest(first, &outline, &mut rough);
                space.panels.level.nearest(panel, &[], &all.values, &all.bias, &mut exact);
                for lane in (0..space.panels.width()).filter(|lane| sketch.tame[first + lane]) {
                    let best = rough.position[lane] as usize;
                    prop_assert!(rough.best[lane] <= exact.best[lane]);
                    prop_assert!(exact.best[lane] <= rough.best[lane] + outline.slack[best]);
                    if rough.second[lane] - rough.best[lane] > outline.slack[best] {
                        prop_assert_eq!(best, exact.position[lane] as usize);
                    }
                }
            }
        }
    }
}

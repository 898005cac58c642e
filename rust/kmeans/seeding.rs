//! Start centroids by k-means++.

use rayon::prelude::*;

use super::points::{CHUNK, PANEL, Space};
use super::tile::{TILE, meet, tiles};
use crate::error::{Error, Result};
use crate::random::Random;
use crate::simd::{PADDING, Vector, Work, with_vectors};

/// Choose `k` points as start centroids, far from one another.
///
/// k-means++ (Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding") draws each next centroid
/// with probability proportional to D(x)^2, the squared distance of point x to the nearest one chosen before. This is
/// its greedy form (section 7 there): of 2 + ln k draws, rounded up to whole tiles, the one that leaves the smallest
/// potential, the sum of all D(x)^2.
///
/// # Errors
/// [`Error::Interrupted`] once `should_stop` says so.
pub(super) fn plus_plus(
    space: &Space<'_>,
    k: usize,
    random: &mut Random,
    should_stop: &dyn Fn() -> bool,
) -> Result<Vec<usize>> {
    let (rows, dim) = (space.points.rows(), space.points.dim);
    let padded = space.panels.len() / dim;
    let closest = (0..padded).map(|point| if point < rows { f32::INFINITY } else { 0.0 }).collect();
    let mut search = Search { space, closest, sums: Vec::new() };
    let mut chosen = vec![random.below(rows)];
    search.sums = search.measure(&chosen, true).iter().map(|sums| sums[0]).collect();
    let trials = (2 + (k as f64).ln() as usize).next_multiple_of(TILE);
    while chosen.len() < k {
        if should_stop() {
            return Err(Error::Interrupted);
        }
        let candidates: Vec<_> = (0..trials).map(|_| search.draw(random)).collect();
        let parts = search.measure(&candidates, false);
        let left: Vec<f64> = (0..trials).map(|trial| parts.iter().map(|sums| sums[trial]).sum()).collect();
        let best = (1..trials).fold(0, |best, trial| if left[trial] < left[best] { trial } else { best });
        chosen.push(candidates[best]);
        search.sums = search.measure(&candidates[best..=best], true).iter().map(|sums| sums[0]).collect();
    }
    Ok(chosen)
}

pub(super) struct Search<'a> {
    pub(super) space: &'a Space<'a>,
    /// D(x)^2 of every point, 0 in the padding.
    pub(super) closest: Vec<f32>,
    /// Its sums over chunks.
    pub(super) sums: Vec<f64>,
}

impl Search<'_> {
    /// Draw a point with probability proportional to D(x)^2: a chunk by its sum, then a point of it.
    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let mut left = random.unit() * self.sums.iter().sum::<f64>();
        let mut passes = |by: f64| {
            left -= by;
            left < 0.0
        };
        // Rounding can leave a crumb after the last one. Once every point lies on a chosen one, any will do.
        let last = || self.sums.iter().rposition(|&sum| sum > 0.0);
        let Some(chunk) = self.sums.iter().position(|&sum| passes(sum)).or_else(last) else {
            return random.below(self.space.points.rows());
        };
        passes(-self.sums[chunk]);
        let closest = &self.closest[chunk * CHUNK..self.closest.len().min((chunk + 1) * CHUNK)];
        let last = || closest.iter().rposition(|&distance| distance > 0.0);
        let found = closest.iter().position(|&distance| passes(distance.into())).or_else(last);
        chunk * CHUNK + found.unwrap_or_default()
    }

    /// Of each chunk, the potential that each candidate would leave. If `keep`, D(x)^2 becomes what it is with the only one.
    fn measure(&mut self, candidates: &[usize], keep: bool) -> Vec<Vec<f64>> {
        let (space, dim) = (self.space, self.space.points.dim);
        let places = candidates.iter().flat_map(|&point| space.moved(space.points.row(point)));
        let tiles = tiles(dim, &places.collect::<Vec<f32>>());
        let chunks = self.closest.par_chunks_mut(CHUNK).zip(space.panels.par_chunks(CHUNK * dim));
        let measure = |(closest, panels)| {
            with_vectors(space.level, Measure { dim, panels, tiles: &tiles, closest, keep })
        };
        chunks.map(measure).collect()
    }
}

/// What [`Search::measure`] does to a chunk.
struct Measure<'a> {
    dim: usize,
    panels: &'a [f32],
    tiles: &'a [[f32; TILE]],
    closest: &'a mut [f32],
    keep: bool,
}

impl Work for Measure<'_> {
    type Output = Vec<f64>;
    const WIDEST: usize = PADDING;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f64> {
        let Self { dim, panels, tiles, closest, keep } = self;
        let mut sums = vec![[[0.0; PANEL]; TILE]; tiles.len() / dim];
        let mut squares = [[0.0; PANEL]; TILE];
        let panels = panels.chunks_exact(dim * PANEL);
        for (panel, closest) in panels.zip(closest.as_chunks_mut::<PANEL>().0) {
            for (tile, sums) in tiles.chunks_exact(dim).zip(&mut sums) {
                meet::<V, true>(panel, tile, [0.0; TILE], &mut squares);
                for (squares, sums) in squares.iter().zip(sums) {
                    for lane in 0..PANEL {
                        sums[lane] += smaller(squares[lane], closest[lane]);
                    }
                }
            }
            // Only one candidate is ever kept, the first of its tile.
            for lane in 0..if keep { PANEL } else { 0 } {
                closest[lane] = smaller(squares[0][lane], closest[lane]);
            }
        }
        sums.as_flattened().iter().map(|sums| sums.iter().map(|&sum: &f32| f64::from(sum)).sum()).collect()
    }
}

/// `f32::min` without its care for NaN, which is slow.
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

//! The inner loop of k-means: a panel of points meets a tile of centroids.

use std::array::from_fn;

use super::points::PANEL;
use crate::simd::Vector;

/// Centroids per tile, and vectors of points that meet them at once: enough sums to hide the latency of an addition, and
/// few enough that the 16 registers of AVX2 hold them beside what is added to them. With four centroids they just do not:
/// the compiler then moves registers about, for half the speed.
pub(super) const TILE: usize = 3;
pub(super) const VECTORS: usize = 3;

/// Lay out the rows of `places`, tiles x coordinates x [`TILE`]; past the last one there is the origin.
pub(super) fn tiles(dim: usize, places: &[f32]) -> Vec<[f32; TILE]> {
    let mut tiles = vec![[0.0; TILE]; (places.len() / dim).div_ceil(TILE) * dim];
    for (id, place) in places.chunks_exact(dim).enumerate() {
        for (out, &c) in tiles[id / TILE * dim..].iter_mut().zip(place) {
            out[id % TILE] = c;
        }
    }
    tiles
}

/// For each point x of a panel and each centroid c of a tile, `start + x.c` or, if `SQUARES`, `start + |x - c|^2`.
///
/// The differences make that exactly `start` between equal points. All terms are added in the order of the coordinates,
/// whatever the width of the vectors.
#[inline(always)]
pub(super) fn meet<V: Vector, const SQUARES: bool>(
    panel: &[f32],
    tile: &[[f32; TILE]],
    start: [f32; TILE],
    out: &mut [[f32; PANEL]; TILE],
) {
    for first in (0..PANEL).step_by(VECTORS * V::LANES) {
        let mut sums = start.map(|start| [V::splat(start); VECTORS]);
        for (points, centroids) in panel.as_chunks::<PANEL>().0.iter().zip(tile) {
            // One check of bounds for all loads.
            let points = &points[first..first + VECTORS * V::LANES];
            let x: [V; VECTORS] = from_fn(|v| V::load(&points[v * V::LANES..]));
            for (sums, &c) in sums.iter_mut().zip(centroids) {
                let c = V::splat(c);
                for (sum, &x) in sums.iter_mut().zip(&x) {
                    *sum = if SQUARES {
                        let difference = x.add_product(c, V::splat(-1.0));
                        sum.add_product(difference, difference)
                    } else {
                        sum.add_product(x, c)
                    };
                }
            }
        }
        for (sums, out) in sums.iter().zip(&mut *out) {
            for (v, sum) in sums.iter().enumerate() {
                sum.store(&mut out[first + v * V::LANES..]);
            }
        }
    }
}

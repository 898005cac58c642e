//! The nearest centroid of every point.

use rayon::prelude::*;

use super::points::{CHUNK, PANEL, Space};
use super::tile::{TILE, meet, tiles};
use crate::error::{Error, Result};
use crate::simd::{PADDING, Vector, Work, with_vectors};

/// Products of coordinates between two looks at `should_stop`: below a second of work on any machine.
const PATIENCE: usize = 1 << 31;

/// For each point the nearest of the centroids at `places`, the lowest of equally near ones, and, if `LEADS`, how much
/// its score is ahead of the next one's (else 0).
///
/// The score of centroid c for point x is `x.c - |c|^2 / 2` less the price of c (0 without `prices`): half of `|x|^2`
/// less the squared distance. It is added up in the order of the coordinates, whatever the width of the vectors.
///
/// # Errors
/// [`Error::Interrupted`] once `should_stop` says so.
pub(super) fn nearest<const LEADS: bool>(
    space: &Space<'_>,
    places: &[f32],
    prices: &[f32],
    should_stop: &dyn Fn() -> bool,
) -> Result<(Vec<u32>, Vec<f32>)> {
    let (rows, dim) = (space.points.rows(), space.points.dim);
    let tiles = tiles(dim, places);
    // Padding never wins.
    let mut bias = vec![[f32::NEG_INFINITY; TILE]; tiles.len() / dim];
    for (id, place) in places.chunks_exact(dim).enumerate() {
        let square: f64 = place.iter().map(|&c| f64::from(c) * f64::from(c)).sum();
        bias[id / TILE][id % TILE] = -(square / 2.0) as f32 - prices.get(id).copied().unwrap_or(0.0);
    }
    let mut found = (vec![0; rows], vec![0.0; rows]);
    let stride = (PATIENCE / (CHUNK * places.len())).max(1) * CHUNK;
    let rounds = found.0.chunks_mut(stride).zip(found.1.chunks_mut(stride));
    for ((labels, leads), panels) in rounds.zip(space.panels.chunks(stride * dim)) {
        if should_stop() {
            return Err(Error::Interrupted);
        }
        let chunks = labels.par_chunks_mut(CHUNK).zip(leads.par_chunks_mut(CHUNK));
        chunks.zip(panels.par_chunks(CHUNK * dim)).for_each(|((labels, leads), panels)| {
            let meet = Meet::<LEADS> { dim, tiles: &tiles, bias: &bias, panels, labels, leads };
            with_vectors(space.level, meet);
        });
    }
    Ok(found)
}

/// Panels of points meet all centroids; the second best are only made out where `LEADS` reads them.
struct Meet<'a, const LEADS: bool> {
    dim: usize,
    tiles: &'a [[f32; TILE]],
    /// What the scores of each tile start from.
    bias: &'a [[f32; TILE]],
    panels: &'a [f32],
    labels: &'a mut [u32],
    leads: &'a mut [f32],
}

impl<const LEADS: bool> Work for Meet<'_, LEADS> {
    type Output = ();
    const WIDEST: usize = PADDING;

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { dim, tiles, bias, panels, labels, leads } = self;
        let found = labels.chunks_mut(PANEL).zip(leads.chunks_mut(PANEL));
        for (panel, (labels, leads)) in panels.chunks_exact(dim * PANEL).zip(found) {
            let mut scores = [[0.0; PANEL]; TILE];
            let mut best = [f32::NEG_INFINITY; PANEL];
            let (mut second, mut nearest, mut id) = (best, [0; PANEL], 0);
            for (tile, &bias) in tiles.chunks_exact(dim).zip(bias) {
                meet::<V, false>(panel, tile, bias, &mut scores);
                for scores in &scores {
                    // Plain enough to be compiled to vectors.
                    for lane in 0..PANEL {
                        let (score, before) = (scores[lane], best[lane]);
                        let lower = if score > before { before } else { score };
                        second[lane] = if lower > second[lane] { lower } else { second[lane] };
                        nearest[lane] = if score > before { id } else { nearest[lane] };
                        best[lane] = if score > before { score } else { before };
                    }
                    id += 1;
                }
            }
            labels.copy_from_slice(&nearest[..labels.len()]);
            for (lane, lead) in leads.iter_mut().enumerate().filter(|_| LEADS) {
                *lead = best[lane] - second[lane];
            }
        }
    }
}

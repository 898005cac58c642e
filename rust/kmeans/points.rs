//! The points as the caller gives them, and the coordinates they are computed in.

use rayon::prelude::*;

use crate::error::{Error, Result, expect_length};
use crate::simd::Level;

/// Points side by side in a panel, a lane each: a multiple of [`VECTORS`](super::tile::VECTORS) of every width.
pub(super) const PANEL: usize = 48;

/// Points handled as one task, whole panels. Sums are added up within chunks, then over chunks in order, so they do
/// not depend on how many threads there are.
pub(super) const CHUNK: usize = 32 * PANEL;

/// Rows of finite coordinates, checked once when made.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    pub(super) values: &'a [f32],
    pub(super) dim: usize,
    /// The largest absolute coordinate.
    largest: f32,
}

impl<'a> Points<'a> {
    /// View `values` as `shape` = (points, coordinates) in row-major order; `argument` is its name in errors.
    ///
    /// # Errors
    /// [`Error::Length`] if `values` does not fill the shape, [`Error::Shape`] if there is no point or no coordinate,
    /// [`Error::Coordinate`] for the first one that is NaN or infinite.
    pub fn new(argument: &'static str, values: &'a [f32], shape: (usize, usize)) -> Result<Self> {
        let (rows, dim) = shape;
        if rows == 0 || dim == 0 {
            return Err(Error::Shape { argument, got: shape, expected: (rows.max(1), dim.max(1)) });
        }
        expect_length(argument, values.len(), rows * dim)?;
        // Without the sign bit, floats are ordered like their bits, with infinity and then NaN above all others.
        let bits = values.par_chunks(CHUNK).map(|values| {
            values.iter().fold(0, |largest: u32, value| largest.max(value.to_bits() << 1 >> 1))
        });
        let largest = f32::from_bits(bits.max().unwrap_or(0));
        if let Some(at) = values.iter().position(|value| !largest.is_finite() && !value.is_finite()) {
            return Err(Error::Coordinate { argument, row: at / dim, column: at % dim, value: values[at] });
        }
        Ok(Self { values, dim, largest })
    }

    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.dim
    }

    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.dim..(row + 1) * self.dim]
    }
}

/// The points and the coordinates k-means computes in: `x * scale - shift`.
///
/// The mean moves to the origin, because the products `x.c` of points far from it would leave no digits for their
/// differences, and a power of two (which rounds nothing) brings the largest coordinate near 1, so that no square
/// overflows.
pub(super) struct Space<'a> {
    pub(super) level: Level,
    pub(super) points: &'a Points<'a>,
    pub(super) scale: f32,
    pub(super) shift: Vec<f32>,
    /// panels x dim x [`PANEL`]: the points so moved; past the last one there is the origin.
    pub(super) panels: Vec<f32>,
    /// Mean squared length of the points so moved.
    pub(super) variance: f64,
}

impl<'a> Space<'a> {
    /// Move the points, and leave room for start centroids.
    pub(super) fn new(level: Level, points: &'a Points<'a>, init: Option<&Points<'_>>) -> Self {
        let (rows, dim) = (points.rows(), points.dim);
        let largest = init.map_or(0.0, |init| init.largest).max(points.largest);
        let exponent = (largest.to_bits() >> 23) as i32 - 127;
        let scale = f32::from_bits(((127 - exponent.clamp(-126, 126)) as u32) << 23);
        let sums: Vec<Vec<f64>> = points
            .values
            .par_chunks(CHUNK * dim)
            .map(|chunk| {
                let mut sums = vec![0.0; dim];
                for row in chunk.chunks_exact(dim) {
                    sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
                }
                sums
            })
            .collect();
        let mean = |j: usize| sums.iter().map(|sums| sums[j]).sum::<f64>() / rows as f64;
        let shift = (0..dim).map(|j| (mean(j) * f64::from(scale)) as f32).collect();
        let mut space = Self { level, points, scale, shift, panels: Vec::new(), variance: 0.0 };
        let mut panels = vec![0.0; rows.div_ceil(PANEL) * PANEL * dim];
        let chunks = panels.par_chunks_mut(CHUNK * dim).zip(points.values.par_chunks(CHUNK * dim));
        let move_chunk = |(panels, rows): (&mut [f32], &[f32])| {
            for (at, row) in rows.chunks_exact(dim).enumerate() {
                let lane = &mut panels[at / PANEL * PANEL * dim + at % PANEL..];
                lane.iter_mut().step_by(PANEL).zip(space.moved(row)).for_each(|(out, x)| *out = x);
            }
            let mut squares = [0.0; PANEL];
            for x in panels.as_chunks::<PANEL>().0 {
                squares.iter_mut().zip(x).for_each(|(sum, &x)| *sum += f64::from(x) * f64::from(x));
            }
            squares.iter().sum::<f64>()
        };
        let squares: Vec<f64> = chunks.map(move_chunk).collect();
        space.panels = panels;
        space.variance = squares.iter().sum::<f64>() / rows as f64;
        space
    }

    /// A point or centroid, moved.
    pub(super) fn moved<'b>(&'b self, row: &'b [f32]) -> impl Iterator<Item = f32> + 'b {
        row.iter().zip(&self.shift).map(|(&x, &shift)| x * self.scale - shift)
    }
}

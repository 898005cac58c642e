//! The points as the caller gives them, the frame they are computed in, and the panels the kernels read.

use rayon::prelude::*;

use super::simd::TILE;
use crate::error::{Error, Result};
use crate::simd::Level;

/// Points handled as one task. Every sum over points is added up within chunks, then over chunks in order, so it does
/// not depend on how many threads there are. A multiple of every panel width.
pub(super) const CHUNK: usize = 1536;

/// Rows of finite coordinates, checked once when made.
#[derive(Debug, Clone)]
pub struct Points<'a> {
    values: &'a [f32],
    dim: usize,
    mean: Vec<f64>,
    variance: f64,
    largest: f32,
}

/// What one pass over a chunk of rows finds; sums are taken relative to the first point to keep their digits.
struct Moments {
    sum: Vec<f64>,
    squares: f64,
    /// Infinite or NaN if any coordinate is.
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
        if values.len() != rows * dim {
            return Err(Error::Length { argument, got: values.len(), expected: rows * dim });
        }
        let origin = &values[..dim];
        let chunks: Vec<_> = values.par_chunks(CHUNK * dim).map(|rows| Moments::of(rows, origin)).collect();
        if chunks.iter().any(|chunk| !chunk.largest.is_finite()) {
            let at = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
            return Err(Error::Coordinate { argument, row: at / dim, column: at % dim, value: values[at] });
        }
        let count = rows as f64;
        let mut offset = vec![0.0; dim];
        for chunk in &chunks {
            offset.iter_mut().zip(&chunk.sum).for_each(|(offset, sum)| *offset += sum / count);
        }
        let squares: f64 = chunks.iter().map(|chunk| chunk.squares).sum();
        let variance = (squares / count - offset.iter().map(|offset| offset * offset).sum::<f64>()).max(0.0);
        let mean = offset.iter().zip(origin).map(|(offset, &origin)| offset + f64::from(origin)).collect();
        let largest = chunks.iter().fold(0.0, |largest, chunk| f32::max(largest, chunk.largest));
        Ok(Self { values, dim, mean, variance, largest })
    }

    /// Number of points.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Number of coordinates.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The coordinates of a point.
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.dim..(row + 1) * self.dim]
    }

    pub(super) fn values(&self) -> &'a [f32] {
        self.values
    }

    /// The largest absolute coordinate.
    pub(super) fn largest(&self) -> f32 {
        self.largest
    }

    /// Mean squared distance from the mean.
    pub(super) fn variance(&self) -> f64 {
        self.variance
    }
}

impl Moments {
    fn of(rows: &[f32], origin: &[f32]) -> Self {
        // Without the sign bit, floats are ordered like their bits, with infinity and then NaN above all others.
        let largest = rows.iter().fold(0, |largest, value| largest.max(value.to_bits() << 1 >> 1));
        let mut sum = vec![0.0; origin.len()];
        let mut squares = vec![0.0; origin.len()];
        for row in rows.chunks_exact(origin.len()) {
            for (((&value, &origin), sum), squares) in row.iter().zip(origin).zip(&mut sum).zip(&mut squares)
            {
                let offset = f64::from(value) - f64::from(origin);
                *sum += offset;
                *squares += offset * offset;
            }
        }
        Self { sum, squares: squares.iter().sum(), largest: f32::from_bits(largest) }
    }
}

/// The coordinates k-means computes in: `x * scale - shift`.
///
/// The mean moves to the origin, because the products `x.c` of points far from it would leave no digits for their
/// differences, and a power of two (which rounds nothing) brings the largest coordinate near 1, so that no square
/// overflows.
#[derive(Debug)]
pub(super) struct Frame {
    scale: f32,
    shift: Vec<f32>,
}

impl Frame {
    /// A frame for the points and for start centroids whose largest coordinate is `reach` (0 without any).
    fn new(points: &Points<'_>, reach: f32) -> Self {
        let exponent = (points.largest.max(reach).to_bits() >> 23) as i32 - 127;
        let scale = f32::from_bits(((127 - exponent.clamp(-126, 126)) as u32) << 23);
        let shift = points.mean.iter().map(|mean| (mean * f64::from(scale)) as f32).collect();
        Self { scale, shift }
    }

    /// Squared lengths are this much longer in the frame.
    pub(super) fn square(&self) -> f64 {
        f64::from(self.scale) * f64::from(self.scale)
    }

    pub(super) fn point<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        row.iter().zip(&self.shift).map(|(&x, &shift)| x * self.scale - shift)
    }

    pub(super) fn centroid<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f32> + 'a {
        row.iter().zip(&self.shift).map(|(&c, &shift)| (c * f64::from(self.scale) - f64::from(shift)) as f32)
    }
}

/// All points in the frame, laid out for the kernels.
pub(super) struct Panels {
    pub(super) level: Level,
    pub(super) rows: usize,
    pub(super) dim: usize,
    /// panels x dim x width; lanes past the last point hold the origin.
    values: Vec<f32>,
}

impl Panels {
    fn new(level: Level, points: &Points<'_>, frame: &Frame) -> Self {
        let (rows, dim, width) = (points.rows(), points.dim(), level.width());
        let mut values = vec![0.0; rows.div_ceil(width) * width * dim];
        let panels = values.par_chunks_mut(width * dim).zip(points.values.par_chunks(width * dim));
        panels.for_each(|(panel, rows)| {
            for (lane, row) in rows.chunks_exact(dim).enumerate() {
                write_lane(panel, lane, width, frame.point(row));
            }
        });
        Self { level, rows, dim, values }
    }

    pub(super) fn width(&self) -> usize {
        self.level.width()
    }

    /// Number of points with the padding of the last panel.
    pub(super) fn lanes(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Panels of [`CHUNK`] points each, the last perhaps fewer.
    pub(super) fn chunks(&self) -> rayon::slice::Chunks<'_, f32> {
        self.values.par_chunks(CHUNK * self.dim)
    }

    /// The panels of the chunk of points from `first` on, each with the one after it or nothing.
    pub(super) fn chunk(&self, first: usize) -> impl Iterator<Item = (&[f32], &[f32])> {
        let size = self.dim * self.width();
        let rest = self.values[first * self.dim..].chunks_exact(size);
        let next = rest.clone().skip(1).chain([&[][..]]);
        rest.zip(next).take(CHUNK / self.width())
    }

    /// One coordinate of a point.
    #[inline]
    pub(super) fn coordinate(&self, point: usize, column: usize) -> f32 {
        let width = self.width();
        self.values[(point / width * self.dim + column) * width + point % width]
    }
}

/// The points, in all the forms they are needed in.
pub(super) struct Space<'a> {
    pub(super) points: &'a Points<'a>,
    pub(super) frame: Frame,
    pub(super) panels: Panels,
}

impl<'a> Space<'a> {
    /// Lay out the points for a level; start centroids lie within `reach` of the origin in every coordinate.
    pub(super) fn new(level: Level, points: &'a Points<'a>, reach: f32) -> Self {
        let frame = Frame::new(points, reach);
        let panels = Panels::new(level, points, &frame);
        Self { points, frame, panels }
    }
}

/// Put a point into a lane of a panel.
pub(super) fn write_lane(panel: &mut [f32], lane: usize, width: usize, point: impl Iterator<Item = f32>) {
    for (out, x) in panel[lane..].iter_mut().step_by(width).zip(point) {
        *out = x;
    }
}

/// Some of the centroids, laid out for the kernels.
pub(super) struct Tiles {
    /// tiles x dim x [`TILE`].
    pub(super) values: Vec<f32>,
    /// Half the squared norm of each, plus its price if it has one; infinite for padding, which so never wins.
    pub(super) bias: Vec<f32>,
    /// Which centroid stands at each position; ascending, so that the first of equal scores is the lowest.
    pub(super) ids: Vec<u32>,
}

impl Tiles {
    /// Lay out the rows of `places` (k x dim) that `ids` names, in ascending order.
    pub(super) fn new(dim: usize, places: &[f32], bias: &[f32], ids: Vec<u32>) -> Self {
        let padded = ids.len().div_ceil(TILE) * TILE;
        let mut values = vec![0.0; padded * dim];
        let mut biases = vec![f32::INFINITY; padded];
        for (position, &id) in ids.iter().enumerate() {
            let (id, tile) = (id as usize, position / TILE);
            let row = places[id * dim..(id + 1) * dim].iter().copied();
            write_lane(&mut values[tile * dim * TILE..(tile + 1) * dim * TILE], position % TILE, TILE, row);
            biases[position] = bias[id];
        }
        Self { values, bias: biases, ids }
    }
}

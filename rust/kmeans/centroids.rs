//! The centroids: means of their groups, kept up to date by the points that change group.

use rayon::prelude::*;

use super::assign::{Assignment, Change, NONE};
use super::points::{CHUNK, Frame, Panels, Points, Tiles};
use super::simd;

/// Coordinates that one task sums: a cache line of the points.
const BLOCK: usize = 16;

/// The points that change group lie far apart, so their cache lines are asked for this many points before their turn.
const AHEAD: usize = 16;

pub(super) struct Centroids {
    dim: usize,
    /// k x dim, where the caller's points live.
    pub(super) values: Vec<f32>,
    /// k x dim, in the frame.
    places: Vec<f32>,
    /// `|c|^2 / 2` in the frame.
    half_norms: Vec<f32>,
    /// Added to the scores of a group; all zero unless groups are balanced.
    pub(super) prices: Vec<f32>,
    /// Whose scores differ from those of the last assignment.
    pub(super) moved: Vec<bool>,
    pub(super) counts: Vec<usize>,
    /// blocks x k x [`BLOCK`]: sums of the points of each group. Points come and go one by one: in float64 the error
    /// that leaves stays far below the rounding of the centroid to float32.
    sums: Vec<f64>,
}

impl Centroids {
    /// Start at `values` (k x dim), with empty groups.
    pub(super) fn new(values: Vec<f32>, dim: usize, frame: &Frame) -> Self {
        let k = values.len() / dim;
        let mut centroids = Self {
            dim,
            places: vec![0.0; values.len()],
            half_norms: vec![0.0; k],
            prices: vec![0.0; k],
            moved: vec![true; k],
            counts: vec![0; k],
            sums: vec![0.0; k * dim.next_multiple_of(BLOCK)],
            values,
        };
        let start: Vec<f64> = centroids.values.iter().map(|&value| f64::from(value)).collect();
        for (id, row) in start.chunks_exact(dim).enumerate() {
            centroids.place(id, row, frame);
        }
        centroids
    }

    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(super) fn value(&self, id: u32) -> &[f32] {
        &self.values[id as usize * self.dim..(id as usize + 1) * self.dim]
    }

    /// A centroid in the frame.
    pub(super) fn place_of(&self, id: usize) -> &[f32] {
        &self.places[id * self.dim..(id + 1) * self.dim]
    }

    pub(super) fn moved_share(&self) -> f64 {
        self.moved.iter().filter(|&&moved| moved).count() as f64 / self.len() as f64
    }

    pub(super) fn all(&self) -> Tiles {
        self.lay_out((0..self.len() as u32).collect())
    }

    /// The centroids that moved and those at rest.
    pub(super) fn tiles(&self) -> (Tiles, Tiles) {
        let (moved, resting) = (0..self.len() as u32).partition(|&id| self.moved[id as usize]);
        (self.lay_out(moved), self.lay_out(resting))
    }

    fn lay_out(&self, ids: Vec<u32>) -> Tiles {
        let bias: Vec<f32> =
            self.half_norms.iter().zip(&self.prices).map(|(half, price)| half + price).collect();
        Tiles::new(self.dim, &self.places, &bias, ids)
    }

    /// One score, by the plain way.
    pub(super) fn score(&self, panels: &Panels, point: usize, id: usize) -> f32 {
        let product: f32 =
            self.place_of(id).iter().enumerate().map(|(j, c)| c * panels.coordinate(point, j)).sum();
        self.half_norms[id] + self.prices[id] - product
    }

    /// Count the points that changed group.
    pub(super) fn count(&mut self, changes: &[Change]) {
        for change in changes {
            if change.from != NONE {
                self.counts[change.from as usize] -= 1;
            }
            self.counts[change.to as usize] += 1;
        }
    }

    /// Give every empty group the point farthest from its centroid, and append what that changes; whether any did.
    ///
    /// Of equally far points the first goes; a point alone in its group, or on its centroid, stays. So a group
    /// remains empty only if there are fewer distinct points than groups.
    pub(super) fn fill_empty(
        &mut self,
        points: &Points<'_>,
        assignment: &mut Assignment<'_>,
        changes: &mut Vec<Change>,
    ) -> bool {
        let mut empty: Vec<u32> =
            (0..self.len() as u32).filter(|&id| self.counts[id as usize] == 0).collect();
        if empty.is_empty() {
            return false;
        }
        let before = empty.len();
        let mut far = distances(points, self, &assignment.labels);
        far.par_sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        empty.reverse();
        for (point, distance) in far {
            let from = assignment.labels[point];
            if distance <= 0.0 || empty.is_empty() {
                break;
            }
            if self.counts[from as usize] > 1
                && let Some(to) = empty.pop()
            {
                let change = Change { point, from, to };
                self.count(&[change]);
                changes.push(change);
                assignment.labels[point] = to;
                assignment.second[point] = f32::NEG_INFINITY;
            }
        }
        empty.len() < before
    }

    /// Move the centroids to the means of their groups after `changes`; the sum of their squared steps, in the frame.
    pub(super) fn follow(&mut self, points: &Points<'_>, frame: &Frame, changes: &[Change]) -> f64 {
        let k = self.len();
        // One task per cache line of the rows: the points stream by once, the sums of all groups stay close.
        self.sums.par_chunks_mut(k * BLOCK).enumerate().for_each(|(block, sums)| {
            let columns = block * BLOCK..((block + 1) * BLOCK).min(self.dim);
            let sums = sums.as_chunks_mut::<BLOCK>().0;
            for (i, change) in changes.iter().enumerate() {
                if let Some(soon) = changes.get(i + AHEAD) {
                    simd::prefetch::<true>(&points.row(soon.point)[columns.start..]);
                }
                let row = &points.row(change.point)[columns.clone()];
                if change.from != NONE {
                    add(&mut sums[change.from as usize], row, -1.0);
                }
                add(&mut sums[change.to as usize], row, 1.0);
            }
        });
        let mut touched = vec![false; k];
        for change in changes {
            touched[change.to as usize] = true;
            if change.from != NONE {
                touched[change.from as usize] = true;
            }
        }
        let mut shift = 0.0;
        let mut mean = vec![0.0; self.dim];
        for id in (0..k).filter(|&id| touched[id]) {
            let count = self.counts[id] as f64;
            for (block, mean) in mean.chunks_mut(BLOCK).enumerate() {
                let sums = &mut self.sums[(block * k + id) * BLOCK..][..BLOCK];
                if self.counts[id] == 0 {
                    // What rounding left behind would stay in the group's sums for good.
                    sums.fill(0.0);
                }
                mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = *sum / count);
            }
            if self.counts[id] > 0 {
                let row = self.values[id * self.dim..].iter_mut();
                row.zip(&mean).for_each(|(value, &mean)| *value = mean as f32);
                shift += self.place(id, &mean, frame);
            }
        }
        shift
    }

    /// Put a centroid (given where the points live) into the frame; the square of its step.
    fn place(&mut self, id: usize, row: &[f64], frame: &Frame) -> f64 {
        let (mut step, mut norm, mut moved) = (0.0, 0.0, false);
        let places = self.places[id * self.dim..].iter_mut();
        for (place, new) in places.zip(frame.centroid(row)) {
            let difference = f64::from(new) - f64::from(*place);
            moved |= difference != 0.0;
            step += difference * difference;
            norm += f64::from(new) * f64::from(new);
            *place = new;
        }
        self.half_norms[id] = (norm / 2.0) as f32;
        self.moved[id] |= moved;
        step
    }
}

/// Add `sign` (1 or -1, so that the product is exact) times a row to the sums.
fn add(sums: &mut [f64; BLOCK], row: &[f32], sign: f64) {
    // Unrolled for whole blocks, which nearly all are.
    if let Ok(row) = <&[f32; BLOCK]>::try_from(row) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += sign * f64::from(x));
    } else {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += sign * f64::from(x));
    }
}

/// Every point with its squared distance to its centroid, where the caller's points live.
fn distances(points: &Points<'_>, centroids: &Centroids, labels: &[u32]) -> Vec<(usize, f64)> {
    let rows = points.values().par_chunks_exact(points.dim()).zip(labels).enumerate();
    rows.with_min_len(CHUNK)
        .map(|(i, (row, &label))| (i, squared_distance(row, centroids.value(label))))
        .collect()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            let difference = f64::from(a[lane]) - f64::from(b[lane]);
            sums[lane] += difference * difference;
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        let difference = f64::from(a) - f64::from(b);
        *sum += difference * difference;
    }
    sums.iter().sum()
}

/// The sum of squared distances of all points to their centroids.
pub(super) fn inertia(points: &Points<'_>, centroids: &Centroids, labels: &[u32]) -> f64 {
    let dim = points.dim();
    let chunks = points.values().par_chunks(CHUNK * dim).zip(labels.par_chunks(CHUNK));
    let sums: Vec<f64> = chunks
        .map(|(rows, labels)| {
            let rows = rows.chunks_exact(dim).zip(labels);
            rows.map(|(row, &label)| squared_distance(row, centroids.value(label))).sum()
        })
        .collect();
    sums.iter().sum()
}

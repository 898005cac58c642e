//! Centroids that follow the points that change group.

use rayon::prelude::*;

use super::points::{CHUNK, Points, Space};

/// Coordinates that are summed at once: a cache line of the points.
const BLOCK: usize = 16;

/// The label of a point that has none yet.
pub(super) const NONE: u32 = u32::MAX;

pub(super) struct Means {
    /// k x dim, where the caller's points live.
    pub(super) values: Vec<f32>,
    /// k x dim, in the space that is computed in.
    pub(super) places: Vec<f32>,
    /// blocks x k x [`BLOCK`]: sums of the points of each group. Points come and go one by one: in float64 the error
    /// that leaves stays far below the rounding of the centroid to float32.
    sums: Vec<f64>,
}

impl Means {
    /// Start at `values` (k x dim), with empty groups.
    pub(super) fn new(space: &Space<'_>, values: Vec<f32>) -> Self {
        let dim = space.points.dim;
        let places = values.chunks_exact(dim).flat_map(|row| space.moved(row)).collect();
        Self { places, sums: vec![0.0; values.len() / dim * dim.next_multiple_of(BLOCK)], values }
    }

    /// Move to the means of the groups after labels changed; the sum of the squared steps.
    pub(super) fn follow(&mut self, space: &Space<'_>, before: &[u32], labels: &[u32]) -> f64 {
        let (points, dim) = (space.points, space.points.dim);
        let sizes = sizes(labels, self.values.len() / dim);
        let k = sizes.len();
        let pairs = before.iter().copied().zip(labels.iter().copied()).enumerate();
        let changes: Vec<(usize, (u32, u32))> = pairs.filter(|(_, (from, to))| from != to).collect();
        // Each thread sums some of the coordinates of all groups, and streams by as much of each row as it can at once.
        let wide = dim.div_ceil(BLOCK).div_ceil(rayon::current_num_threads());
        self.sums.par_chunks_mut(k * BLOCK * wide).enumerate().for_each(|(task, sums)| {
            let columns = task * wide * BLOCK..((task + 1) * wide * BLOCK).min(dim);
            let sums = sums.as_chunks_mut::<BLOCK>().0;
            for &(point, (from, to)) in &changes {
                for (block, row) in points.row(point)[columns.clone()].chunks(BLOCK).enumerate() {
                    let sums = &mut sums[block * k..][..k];
                    if from != NONE {
                        sums[from as usize].iter_mut().zip(row).for_each(|(sum, &x)| *sum -= f64::from(x));
                    }
                    sums[to as usize].iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
                }
            }
        });
        let mut steps = 0.0;
        let mut mean = vec![0.0; dim];
        for (id, &size) in sizes.iter().enumerate() {
            for (block, mean) in mean.chunks_mut(BLOCK).enumerate() {
                let sums = &mut self.sums[(block * k + id) * BLOCK..][..BLOCK];
                if size == 0 {
                    // What rounding left behind would stay in the group's sums for good.
                    sums.fill(0.0);
                }
                mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = *sum / size as f64);
            }
            if size > 0 {
                for (at, (mean, &shift)) in (id * dim..).zip(mean.iter().zip(&space.shift)) {
                    let place = (mean * f64::from(space.scale) - f64::from(shift)) as f32;
                    steps += (f64::from(place) - f64::from(self.places[at])).powi(2);
                    (self.places[at], self.values[at]) = (place, *mean as f32);
                }
            }
        }
        steps
    }

    /// Give every empty group the point farthest from its centroid; whether any got one.
    ///
    /// Of equally far points the first goes; a point alone in its group, or on its centroid, stays. So a group
    /// remains empty only if there are fewer distinct points than groups.
    pub(super) fn fill_empty(&self, points: &Points<'_>, labels: &mut [u32]) -> bool {
        let mut sizes = sizes(labels, self.values.len() / points.dim);
        let mut empty: Vec<usize> = (0..sizes.len()).rev().filter(|&id| sizes[id] == 0).collect();
        if empty.is_empty() {
            return false;
        }
        let before = empty.len();
        let mut far: Vec<(usize, f64)> = self.distances(points, labels).into_iter().enumerate().collect();
        far.par_sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for (point, distance) in far {
            let from = labels[point] as usize;
            if distance <= 0.0 || empty.is_empty() {
                break;
            }
            if sizes[from] > 1
                && let Some(to) = empty.pop()
            {
                sizes[from] -= 1;
                sizes[to] += 1;
                labels[point] = to as u32;
            }
        }
        empty.len() < before
    }

    /// The sum of squared distances of all points to their centroids.
    pub(super) fn inertia(&self, points: &Points<'_>, labels: &[u32]) -> f64 {
        self.distances(points, labels).into_iter().sum()
    }

    /// Squared distances of all points to their centroids, where the caller's points live.
    fn distances(&self, points: &Points<'_>, labels: &[u32]) -> Vec<f64> {
        let dim = points.dim;
        let of =
            |(row, &label): (_, &u32)| squared_distance(row, &self.values[label as usize * dim..][..dim]);
        points.values.par_chunks_exact(dim).zip(labels).with_min_len(CHUNK).map(of).collect()
    }
}

/// The number of points of each of `k` groups.
pub(super) fn sizes(labels: &[u32], k: usize) -> Vec<usize> {
    let mut sizes = vec![0; k];
    for &label in labels {
        sizes[label as usize] += 1;
    }
    sizes
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += (f64::from(a[lane]) - f64::from(b[lane])).powi(2);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    rest.chain(sums).sum()
}

//! Start centroids by k-means++.

use rayon::prelude::*;

use super::points::{CHUNK, Space, Tiles};
use super::simd::TILE;
use crate::error::{Error, Result};
use crate::random::Random;

/// Lanes that a potential is summed in; divides every panel width, so that the sum does not depend on it.
const LANES: usize = 8;

/// Choose `k` points as start centroids, far from one another.
///
/// k-means++ (Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding") draws each next centroid
/// with probability proportional to D(x)^2, the squared distance of point x to the nearest one chosen before. This is
/// its greedy form (section 7 there): of 2 + ln k draws, and those that fill up a tile for free, the one that leaves
/// the smallest potential, the sum of all D(x)^2.
///
/// # Errors
/// [`Error::Interrupted`] once `should_stop` says so.
pub(super) fn plus_plus(
    space: &Space<'_>,
    k: usize,
    random: &mut Random,
    should_stop: &dyn Fn() -> bool,
) -> Result<Vec<usize>> {
    let panels = &space.panels;
    let trials = (2 + (k as f64).ln() as usize).next_multiple_of(TILE);
    let mut search = Search {
        space,
        trials,
        closest: (0..panels.lanes()).map(|i| if i < panels.rows { f32::INFINITY } else { 0.0 }).collect(),
        distances: vec![0.0; panels.lanes() * trials],
    };
    let mut chosen = vec![random.below(panels.rows)];
    let first = search.measure(&vec![chosen[0]; trials]);
    let mut potentials = search.accept(0, &first);
    while chosen.len() < k {
        if should_stop() {
            return Err(Error::Interrupted);
        }
        let candidates: Vec<_> = (0..trials).map(|_| search.draw(&potentials, random)).collect();
        let measured = search.measure(&candidates);
        let total = |trial: usize| measured.iter().map(|chunk| chunk[trial]).sum::<f64>();
        let (best, _) = (1..trials)
            .map(|trial| (trial, total(trial)))
            .fold((0, total(0)), |best, next| if next.1 < best.1 { next } else { best });
        chosen.push(candidates[best]);
        potentials = search.accept(best, &measured);
    }
    Ok(chosen)
}

struct Search<'a> {
    space: &'a Space<'a>,
    trials: usize,
    /// D(x)^2 of every point, 0 in the padding.
    closest: Vec<f32>,
    /// panels x trials x width: squared distances to the candidates measured last.
    distances: Vec<f32>,
}

impl Search<'_> {
    /// Draw a point with probability proportional to D(x)^2, whose sums per chunk are `potentials`.
    fn draw(&self, potentials: &[f64], random: &mut Random) -> usize {
        let total: f64 = potentials.iter().sum();
        if total <= 0.0 {
            // Every point lies on a chosen one; any other is as good as the next.
            return random.below(self.space.panels.rows);
        }
        let mut left = random.unit() * total;
        let mut last = 0;
        for (chunk, &potential) in potentials.iter().enumerate() {
            if left >= potential && chunk + 1 < potentials.len() {
                left -= potential;
                continue;
            }
            let start = chunk * CHUNK;
            let end = (start + CHUNK).min(self.space.panels.rows);
            for (point, &distance) in (start..end).zip(&self.closest[start..end]) {
                if distance > 0.0 {
                    last = point;
                    left -= f64::from(distance);
                    if left < 0.0 {
                        return point;
                    }
                }
            }
        }
        // Rounding can leave a crumb after the last point.
        last
    }

    /// The potential that each candidate would leave, per chunk of points.
    fn measure(&mut self, candidates: &[usize]) -> Vec<Vec<f64>> {
        let (dim, width, trials) = (self.space.panels.dim, self.space.panels.width(), self.trials);
        let places: Vec<f32> = candidates
            .iter()
            .flat_map(|&point| self.space.frame.point(self.space.points.row(point)))
            .collect();
        let tiles = Tiles::new(dim, &places, &vec![0.0; trials], (0..trials as u32).collect());
        let chunks = self
            .space
            .panels
            .chunks()
            .zip(self.closest.par_chunks(CHUNK))
            .zip(self.distances.par_chunks_mut(CHUNK * trials));
        chunks
            .map(|((panels, closest), distances)| {
                let mut sums = vec![[0.0_f32; LANES]; trials];
                let panels = panels.chunks_exact(dim * width).zip(closest.chunks_exact(width));
                for ((panel, closest), distances) in panels.zip(distances.chunks_exact_mut(width * trials)) {
                    let tiles = tiles.values.chunks_exact(dim * TILE);
                    for (tile, out) in tiles.zip(distances.chunks_exact_mut(width * TILE)) {
                        self.space.panels.level.squared_distances(panel, tile, out);
                    }
                    for (sums, distances) in sums.iter_mut().zip(distances.chunks_exact(width)) {
                        let lanes =
                            closest.as_chunks::<LANES>().0.iter().zip(distances.as_chunks::<LANES>().0);
                        for (closest, distances) in lanes {
                            for lane in 0..LANES {
                                sums[lane] += smaller(closest[lane], distances[lane]);
                            }
                        }
                    }
                }
                sums.iter().map(|sums| sums.iter().map(|&sum| f64::from(sum)).sum()).collect()
            })
            .collect()
    }

    /// Take a candidate measured last as the next centroid; its potential per chunk.
    fn accept(&mut self, trial: usize, measured: &[Vec<f64>]) -> Vec<f64> {
        let (width, trials) = (self.space.panels.width(), self.trials);
        let panels = self.closest.chunks_exact_mut(width).zip(self.distances.chunks_exact(width * trials));
        for (closest, distances) in panels {
            let distances = &distances[trial * width..(trial + 1) * width];
            closest.iter_mut().zip(distances).for_each(|(closest, &d)| *closest = smaller(*closest, d));
        }
        measured.iter().map(|chunk| chunk[trial]).collect()
    }
}

/// `f32::min` without its care for NaN, which keeps loops from vectorising.
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kmeans::Points;
    use crate::simd::Level;

    fn choose(values: &[f32], k: usize, seed: u64) -> Vec<usize> {
        let points = Points::new("points", values, (values.len(), 1)).expect("sound points");
        let space = Space::new(Level::current().expect("a level"), &points, 0.0);
        plus_plus(&space, k, &mut Random::new(seed), &|| false).expect("nobody interrupts")
    }

    #[test]
    fn no_place_is_chosen_twice_while_another_is_left() {
        let values: Vec<f32> = (0..2_000).map(|i| (i % 40) as f32).collect();
        for seed in 0..5 {
            let mut places: Vec<usize> =
                choose(&values, 40, seed).into_iter().map(|point| point % 40).collect();
            places.sort_unstable();
            assert!(places.iter().copied().eq(0..40), "{places:?}");
        }
        // Then any point will do.
        assert_eq!(choose(&[7.0; 9], 5, 1).len(), 5);
    }

    #[test]
    fn far_points_are_drawn_in_proportion_to_their_squared_distance() {
        let values = [0.0, 1.0, 2.0, 3.0];
        let points = Points::new("points", &values, (4, 1)).expect("sound points");
        let space = Space::new(Level::current().expect("a level"), &points, 0.0);
        let closest = (0..space.panels.lanes()).map(|lane| (lane.min(3) * lane.min(3)) as f32).collect();
        let search = Search { space: &space, trials: TILE, closest, distances: Vec::new() };
        let mut random = Random::new(5);
        let mut drawn = [0; 4];
        (0..14_000).for_each(|_| drawn[search.draw(&[14.0], &mut random)] += 1);
        for (point, &count) in drawn.iter().enumerate() {
            let expected = (1_000 * point * point) as i32;
            assert!((count - expected).abs() < 300, "{drawn:?}");
        }
    }

    #[test]
    fn separate_groups_each_get_one() {
        let values: Vec<f32> = (0..300).map(|i| (i / 100 * 1_000 + i % 7) as f32).collect();
        for seed in 0..20 {
            let mut groups: Vec<usize> =
                choose(&values, 3, seed).into_iter().map(|point| point / 100).collect();
            groups.sort_unstable();
            assert_eq!(groups, [0, 1, 2]);
        }
    }
}

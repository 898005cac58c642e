//! k-means clustering: groups of items with similar embeddings (L-DiffRec).
//!
//! Lloyd's algorithm (Lloyd 1982, "Least squares quantization in PCM") from k-means++ start centroids.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

mod balance;
mod means;
mod nearest;
mod points;
mod seeding;
mod tile;

use crate::error::{Error, Result};
use crate::random::Random;
use crate::simd::Level;
use means::{Means, NONE};
pub use points::Points;
use points::Space;

/// What to look for and when to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Number of groups.
    pub k: usize,
    /// Runs from different start centroids, of which the best is kept.
    pub n_init: usize,
    /// How many times the centroids move at most.
    pub max_iter: usize,
    /// Stop once the squares of the centroids' steps add up to no more than this times the mean variance of a
    /// coordinate; at 0, only when no point changes group any more.
    pub tol: f64,
    /// The most points of a group, in mean sizes (but always the mean size rounded up); any number if none.
    pub balance: Option<f64>,
    /// What the start centroids depend on.
    pub seed: u64,
}

impl Settings {
    fn check(&self, rows: usize) -> Result<()> {
        let (tol, balance) = (self.tol, self.balance.unwrap_or(1.0));
        let sound = |value: f64, least: f64| value >= least && value.is_finite();
        for (holds, argument, got, expected) in [
            (self.k >= 1, "k", self.k.to_string(), "at least 1"),
            (self.k <= rows.min(i32::MAX as usize), "k", self.k.to_string(), "at most the number of points"),
            (self.n_init >= 1, "n_init", self.n_init.to_string(), "at least 1"),
            (self.max_iter >= 1, "max_iter", self.max_iter.to_string(), "at least 1"),
            (sound(tol, 0.0), "tol", tol.to_string(), "a finite number of at least 0"),
            (sound(balance, 1.0), "balance", balance.to_string(), "a finite number of at least 1"),
        ] {
            if !holds {
                return Err(Error::Setting { argument, got, expected });
            }
        }
        Ok(())
    }
}

/// Groups of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// The group of each point, in [0, k).
    pub labels: Vec<i32>,
    /// k x d.
    pub centroids: Vec<f32>,
    /// The sum of squared distances of all points to their centroids.
    pub inertia: f64,
    /// How many times the centroids moved.
    pub iterations: usize,
}

/// Group points by k-means, from the centroids `init` or else from `n_init` starts by k-means++.
///
/// The answer depends on the seed but not on the number of threads; on the level only by rounding. `should_stop` is
/// asked before every pass over the points, on the calling thread.
///
/// # Errors
/// [`Error::Setting`] for a setting outside its range or more groups than points, [`Error::Shape`] if `init` is not k
/// points of the same number of coordinates, [`Error::Interrupted`] once `should_stop` says so.
pub fn kmeans(
    level: Level,
    points: &Points<'_>,
    init: Option<&Points<'_>>,
    settings: &Settings,
    should_stop: &dyn Fn() -> bool,
) -> Result<Clustering> {
    settings.check(points.rows())?;
    let shape = (settings.k, points.dim);
    if let Some(init) = init.filter(|init| (init.rows(), init.dim) != shape) {
        return Err(Error::Shape { argument: "init", got: (init.rows(), init.dim), expected: shape });
    }
    let space = Space::new(level, points, init);
    if let Some(init) = init {
        return lloyd(&space, init.values.to_vec(), settings, should_stop);
    }
    let mut random = Random::new(settings.seed);
    let mut run = |_| {
        let chosen = seeding::plus_plus(&space, settings.k, &mut random, should_stop)?;
        let start = chosen.into_iter().flat_map(|point| points.row(point)).copied().collect();
        lloyd(&space, start, settings, should_stop)
    };
    let runs = (0..settings.n_init).map(&mut run).collect::<Result<Vec<_>>>()?;
    // There is at least one.
    runs.into_iter().min_by(|a, b| a.inertia.total_cmp(&b.inertia)).ok_or(Error::Interrupted)
}

/// One search from the centroids `start`.
fn lloyd(
    space: &Space<'_>,
    start: Vec<f32>,
    settings: &Settings,
    should_stop: &dyn Fn() -> bool,
) -> Result<Clustering> {
    let points = space.points;
    let (rows, k) = (points.rows(), settings.k);
    let cap = |balance: f64| ((balance * rows as f64 / k as f64) as usize).clamp(rows.div_ceil(k), rows);
    let assign = |means: &Means| match settings.balance {
        None => Ok(nearest::nearest::<false>(space, &means.places, &[], should_stop)?.0),
        Some(balance) => balance::assign(space, &means.places, cap(balance), should_stop),
    };
    let enough = settings.tol * space.variance / points.dim as f64;
    let mut means = Means::new(space, start);
    let mut labels = vec![NONE; points.rows()];
    let mut next = assign(&means)?;
    let mut iterations = 0;
    loop {
        means.fill_empty(points, &mut next);
        let step = means.follow(space, &labels, &next);
        labels = next;
        next = assign(&means)?;
        iterations += 1;
        if next == labels || step <= enough || iterations == settings.max_iter {
            break;
        }
    }
    if means.fill_empty(points, &mut next) {
        // Other points may now be nearer to another centroid than to their own, but no group is empty.
        means.follow(space, &labels, &next);
    }
    let labels = next.iter().map(|&label| label as i32).collect();
    Ok(Clustering { inertia: means.inertia(points, &next), labels, centroids: means.values, iterations })
}

#[cfg(test)]
mod tests;

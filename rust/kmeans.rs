//! k-means clustering: groups of items with similar embeddings (L-DiffRec).
//!
//! Lloyd's algorithm (Lloyd 1982, "Least squares quantization in PCM") from k-means++ start centroids. A panel of
//! points meets a tile of centroids in registers, where the nearest is picked too, and a point meets only centroids
//! that moved since it last did wherever that cannot change the answer.
//!
//! | module | what it does |
//! |---|---|
//! | `points` | checked points, the frame they are computed in, the layout the kernels read |
//! | `simd` | the inner loops for each instruction set |
//! | `sketch` | rounded points, enough to tell the nearest centroid of most |
//! | `seeding` | k-means++ |
//! | `assign` | the nearest centroid of every point |
//! | `balance` | the same with groups of limited size |
//! | `centroids` | means of the groups, empty groups, inertia |

mod assign;
mod balance;
mod centroids;
mod points;
mod seeding;
mod simd;
mod sketch;

use crate::error::{Error, Result};
use crate::random::Random;
use crate::simd::Level;
use assign::{Assignment, Change};
use centroids::Centroids;
pub use points::Points;
use points::Space;
use sketch::Sketch;

/// What to look for and when to stop, checked when made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    k: usize,
    n_init: usize,
    max_iter: usize,
    tol: f64,
    balance: Option<f64>,
    seed: u64,
}

impl Settings {
    /// Settings for `k` groups from one start: at most 300 iterations, groups of any size, seed 0.
    ///
    /// # Errors
    /// [`Error::Setting`] if `k` is 0 or does not fit 32 bits.
    pub fn new(k: usize) -> Result<Self> {
        if k == 0 || k > i32::MAX as usize {
            return Err(Error::Setting { argument: "k", got: k.to_string(), expected: "at least 1" });
        }
        Ok(Self { k, n_init: 1, max_iter: 300, tol: 1e-4, balance: None, seed: 0 })
    }

    /// Keep the best of `n_init` runs from different start centroids.
    ///
    /// # Errors
    /// [`Error::Setting`] if `n_init` is 0.
    pub fn n_init(self, n_init: usize) -> Result<Self> {
        Ok(Self { n_init: at_least_one("n_init", n_init)?, ..self })
    }

    /// Move the centroids at most `max_iter` times, and stop once the squares of their steps add up to no more than
    /// `tol` times the mean variance of a coordinate. Without `tol` (0), only when no point changes group any more.
    ///
    /// # Errors
    /// [`Error::Setting`] if `max_iter` is 0, or `tol` negative, infinite or NaN.
    pub fn stop(self, max_iter: usize, tol: f64) -> Result<Self> {
        if !(0.0..f64::INFINITY).contains(&tol) {
            let expected = "a finite number that is not negative";
            return Err(Error::Setting { argument: "tol", got: tol.to_string(), expected });
        }
        Ok(Self { max_iter: at_least_one("max_iter", max_iter)?, tol, ..self })
    }

    /// Allow no group more than `balance` times the mean size (but the mean size rounded up), or any size.
    ///
    /// # Errors
    /// [`Error::Setting`] if `balance` is less than 1, infinite or NaN.
    pub fn balance(self, balance: Option<f64>) -> Result<Self> {
        if let Some(balance) = balance.filter(|balance| !(1.0..f64::INFINITY).contains(balance)) {
            let expected = "a finite number of at least 1";
            return Err(Error::Setting { argument: "balance", got: balance.to_string(), expected });
        }
        Ok(Self { balance, ..self })
    }

    /// Draw start centroids from this seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Number of groups.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The most points a group of `rows` points may have.
    fn cap(&self, rows: usize) -> usize {
        self.balance.map_or(rows, |balance| {
            let cap = balance * rows as f64 / self.k as f64;
            (cap as usize).clamp(rows.div_ceil(self.k), rows)
        })
    }
}

fn at_least_one(argument: &'static str, value: usize) -> Result<usize> {
    if value == 0 {
        return Err(Error::Setting { argument, got: "0".to_owned(), expected: "at least 1" });
    }
    Ok(value)
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
/// The answer depends on the seed but not on the number of threads. `should_stop` is asked before every pass over
/// the points, on the calling thread.
///
/// # Errors
/// [`Error::Setting`] if there are fewer points than groups, [`Error::Shape`] if `init` is not k points of the same
/// number of coordinates, [`Error::Interrupted`] once `should_stop` says so, [`Error::Level`].
pub fn kmeans(
    points: &Points<'_>,
    init: Option<&Points<'_>>,
    settings: &Settings,
    should_stop: &dyn Fn() -> bool,
) -> Result<Clustering> {
    kmeans_with(Tuning::new(Level::current()?), points, init, settings, should_stop)
}

/// What changes how fast the answer comes, but only by the level the answer, and that only by rounding.
#[derive(Debug, Clone, Copy)]
struct Tuning {
    level: Level,
    /// Replaces the share of moved centroids up to which those at rest are skipped.
    most_moved: Option<f64>,
    /// From how many groups on points are sketched: for fewer, reading the points takes longer than comparing them.
    sketch_from: usize,
}

impl Tuning {
    fn new(level: Level) -> Self {
        Self { level, most_moved: None, sketch_from: 24 }
    }
}

fn kmeans_with(
    tuning: Tuning,
    points: &Points<'_>,
    init: Option<&Points<'_>>,
    settings: &Settings,
    should_stop: &dyn Fn() -> bool,
) -> Result<Clustering> {
    let k = settings.k;
    if k > points.rows() {
        let expected = "at most the number of points";
        return Err(Error::Setting { argument: "k", got: k.to_string(), expected });
    }
    let shape = (k, points.dim());
    if let Some(init) = init.filter(|init| (init.rows(), init.dim()) != shape) {
        return Err(Error::Shape { argument: "init", got: (init.rows(), init.dim()), expected: shape });
    }
    let space = Space::new(tuning.level, points, init.map_or(0.0, Points::largest));
    // The prices of balanced groups rest on the scores themselves.
    let sketch =
        if k >= tuning.sketch_from && settings.balance.is_none() { Sketch::new(&space.panels) } else { None };
    let usual = if sketch.is_some() { assign::MOST_MOVED_BY_SKETCH } else { assign::MOST_MOVED };
    let most_moved = tuning.most_moved.unwrap_or(usual);
    let lloyd = Lloyd { space, sketch, most_moved, settings, should_stop };
    if let Some(init) = init {
        return lloyd.run(init.values().to_vec());
    }
    let mut random = Random::new(settings.seed);
    let mut best = lloyd.run(lloyd.seed(&mut random)?)?;
    for _ in 1..settings.n_init {
        let next = lloyd.run(lloyd.seed(&mut random)?)?;
        if next.inertia < best.inertia {
            best = next;
        }
    }
    Ok(best)
}

struct Lloyd<'a> {
    space: Space<'a>,
    sketch: Option<Sketch>,
    most_moved: f64,
    settings: &'a Settings,
    should_stop: &'a dyn Fn() -> bool,
}

impl Lloyd<'_> {
    fn seed(&self, random: &mut Random) -> Result<Vec<f32>> {
        let chosen = seeding::plus_plus(&self.space, self.settings.k, random, self.should_stop)?;
        Ok(chosen.into_iter().flat_map(|point| self.space.points.row(point)).copied().collect())
    }

    fn run(&self, start: Vec<f32>) -> Result<Clustering> {
        let Space { points, frame, .. } = &self.space;
        let enough = self.settings.tol * points.variance() / points.dim() as f64 * frame.square();
        let mut centroids = Centroids::new(start, points.dim(), frame);
        let mut assignment = Assignment::new(&self.space.panels, self.most_moved, self.sketch.as_ref());
        let mut changes = self.assign(&mut assignment, &mut centroids)?;
        let mut iterations = 0;
        loop {
            centroids.count(&changes);
            centroids.fill_empty(points, &mut assignment, &mut changes);
            let step = centroids.follow(points, frame, &changes);
            changes = self.assign(&mut assignment, &mut centroids)?;
            iterations += 1;
            if changes.is_empty() || step <= enough || iterations == self.settings.max_iter {
                break;
            }
        }
        centroids.count(&changes);
        if centroids.fill_empty(points, &mut assignment, &mut changes) {
            // Other points may now be nearer to another centroid than to their own, but no group is empty.
            centroids.follow(points, frame, &changes);
        }
        assignment.labels.truncate(points.rows());
        let inertia = centroids::inertia(points, &centroids, &assignment.labels);
        let labels = assignment.labels.into_iter().map(|label| label as i32).collect();
        Ok(Clustering { labels, centroids: centroids.values, inertia, iterations })
    }

    fn assign(&self, assignment: &mut Assignment<'_>, centroids: &mut Centroids) -> Result<Vec<Change>> {
        if self.settings.balance.is_some() {
            let cap = self.settings.cap(self.space.points.rows());
            return balance::assign(assignment, &self.space, centroids, cap, self.should_stop);
        }
        let changes = assignment.update(&self.space, centroids, self.should_stop)?;
        centroids.moved.fill(false);
        Ok(changes)
    }
}

#[cfg(test)]
mod tests;

//! Which centroid each point belongs to.

use rayon::prelude::*;

use super::centroids::Centroids;
use super::points::{CHUNK, Panels, Space, Tiles, write_lane};
use super::simd::{LINE, Nearest, prefetch};
use super::sketch::{Outline, Sketch};
use crate::error::{Error, Result};

/// Above this share of moved centroids, meeting all is faster than sorting out who need not.
pub(super) const MOST_MOVED: f64 = 0.8;

/// The same where meeting all is cheaper by a sketch.
pub(super) const MOST_MOVED_BY_SKETCH: f64 = 0.5;

/// Above this share of points in doubt, a sketch costs more than it saves.
const MOST_DOUBTS: f64 = 0.3;

/// The label of a point that has none yet.
pub(super) const NONE: u32 = u32::MAX;

/// Products of coordinates between two looks at `should_stop`: below a second of work on any machine.
const PATIENCE: usize = 1 << 31;

/// A point went from one group to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) point: usize,
    /// [`NONE`] if it had no group.
    pub(super) from: u32,
    pub(super) to: u32,
}

/// For each point (and each lane of padding) its centroid and what is known of its scores, `|c|^2 / 2 - x.c`.
///
/// A score is half the squared distance less `|x|^2 / 2`, which is the same for all centroids. `best` is the score of
/// the point's own centroid; `second` is not above the score of any other. A `second` of -inf says that the point was
/// put elsewhere than its nearest centroid or found it by rounded scores, and that neither is known.
pub(super) struct Assignment<'a> {
    pub(super) labels: Vec<u32>,
    pub(super) best: Vec<f32>,
    pub(super) second: Vec<f32>,
    most_moved: f64,
    sketch: Option<&'a Sketch>,
}

/// Whom the points meet.
enum Way<'a> {
    /// All centroids.
    All { all: Tiles },
    /// All, rounded; some points then also the exact ones.
    Sketch { sketch: &'a Sketch, outline: Outline, all: Tiles },
    /// Those that moved; some points then also those at rest.
    Moved { moved: Tiles, resting: Tiles, is_moved: &'a [bool] },
}

/// The part of an [`Assignment`] that belongs to one chunk of points.
struct Part<'a> {
    space: &'a Space<'a>,
    first: usize,
    rows: usize,
    labels: &'a mut [u32],
    best: &'a mut [f32],
    second: &'a mut [f32],
    changes: Vec<Change>,
}

/// A point that has to meet more centroids, with what those it met gave.
struct Pending {
    at: usize,
    label: u32,
    best: f32,
    second: f32,
}

impl<'a> Assignment<'a> {
    /// No point has a group yet. Passes skip centroids at rest while at most the share `most_moved` has moved; the
    /// others go by the sketch, if there is one.
    pub(super) fn new(panels: &Panels, most_moved: f64, sketch: Option<&'a Sketch>) -> Self {
        let lanes = panels.lanes();
        Self {
            labels: vec![NONE; lanes],
            best: vec![f32::INFINITY; lanes],
            second: vec![f32::NEG_INFINITY; lanes],
            most_moved,
            sketch,
        }
    }

    /// Give every point the nearest centroid, the lowest of equally near ones, and list who changed, in order.
    ///
    /// Centroids that have not moved since the last call keep their scores, so a point only meets the others: if its
    /// own centroid is at rest, that is the nearest one at rest; if it moved, and one that moved now scores below
    /// `second`, nothing at rest can beat it. Only the remaining points meet all. This is the test of Hamerly (2010,
    /// "Making k-means even faster") for centroids whose drift is zero: it compares scores of the same kernel, so
    /// the answer has the same bits as without it, and many dimensions do not blunt it.
    ///
    /// Where most centroids moved, every point meets all, and the sketch is enough to tell the nearest for points that
    /// have it well ahead of the others.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once `should_stop` says so; labels are then half done.
    pub(super) fn update(
        &mut self,
        space: &Space<'_>,
        centroids: &Centroids,
        should_stop: &dyn Fn() -> bool,
    ) -> Result<Vec<Change>> {
        let way = if centroids.moved_share() <= self.most_moved {
            let (moved, resting) = centroids.tiles();
            Way::Moved { moved, resting, is_moved: &centroids.moved }
        } else if let Some(sketch) = self.sketch {
            Way::Sketch { sketch, outline: Outline::new(sketch, centroids), all: centroids.all() }
        } else {
            Way::All { all: centroids.all() }
        };
        let work = CHUNK * space.panels.dim * centroids.len();
        let stride = (PATIENCE / work).max(1) * CHUNK;
        let lanes = space.panels.lanes();
        let (mut changes, mut doubts) = (Vec::new(), 0);
        for start in (0..lanes).step_by(stride) {
            if should_stop() {
                return Err(Error::Interrupted);
            }
            let range = start..(start + stride).min(lanes);
            let labels = self.labels[range.clone()].par_chunks_mut(CHUNK);
            let best = self.best[range.clone()].par_chunks_mut(CHUNK);
            let second = self.second[range].par_chunks_mut(CHUNK);
            let found: Vec<_> = labels
                .zip(best)
                .zip(second)
                .enumerate()
                .map(|(i, ((labels, best), second))| {
                    let first = start + i * CHUNK;
                    let rows = space.panels.rows.saturating_sub(first).min(CHUNK);
                    Part { space, first, rows, labels, best, second, changes: Vec::new() }.meet(&way)
                })
                .collect();
            for (part, doubtful) in found {
                changes.extend(part);
                doubts += doubtful;
            }
        }
        if doubts as f64 > MOST_DOUBTS * space.panels.rows as f64 {
            self.sketch = None;
        }
        Ok(changes)
    }
}

impl Part<'_> {
    /// The changes, in order, and how many points the sketch left in doubt.
    fn meet(mut self, way: &Way<'_>) -> (Vec<Change>, usize) {
        let doubts = match way {
            Way::All { all } => {
                self.meet_all(all);
                return (self.changes, 0);
            }
            Way::Sketch { sketch, outline, all } => {
                let doubtful = self.meet_sketch(sketch, outline);
                self.meet_more(&doubtful, all);
                doubtful.len()
            }
            Way::Moved { moved, resting, is_moved } => {
                let pending = self.meet_moved(moved, is_moved);
                self.meet_more(&pending, resting);
                0
            }
        };
        // The points that met more come last.
        self.changes.sort_unstable_by_key(|change| change.point);
        (self.changes, doubts)
    }

    fn meet_all(&mut self, all: &Tiles) {
        let panels = &self.space.panels;
        let width = panels.width();
        let mut near = Nearest::new();
        for (i, (panel, next)) in panels.chunk(self.first).enumerate() {
            panels.level.nearest(panel, next, &all.values, &all.bias, &mut near);
            let lanes = i * width..(i + 1) * width;
            self.best[lanes.clone()].copy_from_slice(&near.best[..width]);
            self.second[lanes].copy_from_slice(&near.second[..width]);
            // All centroids are there, in order: the position is the label.
            for (lane, at) in (i * width..self.rows.min((i + 1) * width)).enumerate() {
                self.relabel(at, near.position[lane]);
            }
        }
    }

    /// Label the points whose nearest centroid is sure by the sketch; the others.
    fn meet_sketch(&mut self, sketch: &Sketch, outline: &Outline) -> Vec<Pending> {
        let width = self.space.panels.width();
        let mut near = Nearest::new();
        let mut doubtful = Vec::new();
        for start in (0..self.rows).step_by(width) {
            sketch.nearest(self.first + start, outline, &mut near);
            for (lane, at) in (start..self.rows.min(start + width)).enumerate() {
                let label = near.position[lane];
                let ahead = near.second[lane] - near.best[lane];
                if ahead > outline.slack[label as usize] && sketch.tame[self.first + at] {
                    self.relabel(at, label);
                    // The scores themselves stay unknown.
                    self.second[at] = f32::NEG_INFINITY;
                } else {
                    let row = self.space.points.row(self.first + at);
                    row.chunks(LINE).for_each(prefetch::<false>);
                    doubtful.push(Pending { at, label: NONE, best: f32::INFINITY, second: f32::INFINITY });
                }
            }
        }
        doubtful
    }

    /// Label the points whose nearest centroid is sure after meeting those that moved; the others.
    fn meet_moved(&mut self, moved: &Tiles, is_moved: &[bool]) -> Vec<Pending> {
        let panels = &self.space.panels;
        let width = panels.width();
        let mut near = Nearest::new();
        let mut pending = Vec::new();
        for (i, (panel, next)) in panels.chunk(self.first).enumerate() {
            panels.level.nearest(panel, next, &moved.values, &moved.bias, &mut near);
            for (lane, at) in (i * width..self.rows.min((i + 1) * width)).enumerate() {
                let label = moved.ids.get(near.position[lane] as usize).copied().unwrap_or(NONE);
                let (best, second) = (near.best[lane], near.second[lane]);
                let own = self.labels[at];
                if !is_moved[own as usize] && self.second[at] > f32::NEG_INFINITY {
                    if (best, label) < (self.best[at], own) {
                        self.set(at, label, best, second.min(self.best[at]));
                    } else {
                        self.second[at] = self.second[at].min(best);
                    }
                } else if best < self.second[at] {
                    self.set(at, label, best, second.min(self.second[at]));
                } else {
                    pending.push(Pending { at, label, best, second });
                }
            }
        }
        pending
    }

    /// Let the points of a list meet more centroids.
    fn meet_more(&mut self, pending: &[Pending], others: &Tiles) {
        let Space { points, frame, panels } = self.space;
        let width = panels.width();
        let mut near = Nearest::new();
        let mut panel = vec![0.0; panels.dim * width];
        for group in pending.chunks(width) {
            for (lane, point) in group.iter().enumerate() {
                write_lane(&mut panel, lane, width, frame.point(points.row(self.first + point.at)));
            }
            panels.level.nearest(&panel, &[], &others.values, &others.bias, &mut near);
            for (lane, point) in group.iter().enumerate() {
                let label = others.ids.get(near.position[lane] as usize).copied().unwrap_or(NONE);
                let best = near.best[lane];
                if (best, label) < (point.best, point.label) {
                    self.set(point.at, label, best, near.second[lane].min(point.best));
                } else {
                    self.set(point.at, point.label, point.best, point.second.min(best));
                }
            }
        }
    }

    fn set(&mut self, at: usize, label: u32, best: f32, second: f32) {
        self.relabel(at, label);
        (self.best[at], self.second[at]) = (best, second);
    }

    fn relabel(&mut self, at: usize, label: u32) {
        if self.labels[at] != label {
            self.changes.push(Change { point: self.first + at, from: self.labels[at], to: label });
            self.labels[at] = label;
        }
    }
}

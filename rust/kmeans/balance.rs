//! Assignment to groups of limited size.

use super::assign::{Assignment, Change};
use super::centroids::Centroids;
use super::points::{Panels, Space};
use crate::error::Result;

/// Rounds of price rises before the points still left over are moved one by one.
const ROUNDS: usize = 50;

/// So few left over (one point in this many) are moved at once: the last rounds move few points each.
const FEW: usize = 500;

/// A rise goes this share of the mean squared distance beyond what makes enough points leave, so that groups that
/// compete for the same points do not creep up on one another; it bounds how much worse than optimal a point may sit.
const MARGIN: f64 = 3e-3;

/// Give every point a near centroid, with at most `cap` points to a group, and list who changed since `before`.
///
/// An auction (Bertsekas 1988, "The auction algorithm: a distributed relaxation method for the assignment problem"):
/// a group that is too large raises its price, which is added to all its scores, until as many of its points prefer
/// their second choice. Only a full group ever has a price, so a point sits at its cheapest place, and the sum of
/// squared distances is near the least that the sizes allow.
///
/// # Errors
/// [`Error::Interrupted`](crate::Error::Interrupted) once `should_stop` says so.
pub(super) fn assign(
    assignment: &mut Assignment<'_>,
    space: &Space<'_>,
    centroids: &mut Centroids,
    cap: usize,
    should_stop: &dyn Fn() -> bool,
) -> Result<Vec<Change>> {
    let before = assignment.labels.clone();
    for id in 0..centroids.len() {
        centroids.moved[id] |= centroids.prices[id] > 0.0;
        centroids.prices[id] = 0.0;
    }
    let margin = (MARGIN * space.points.variance() * space.frame.square() / 2.0) as f32;
    for _ in 0..ROUNDS {
        assignment.update(space, centroids, should_stop)?;
        centroids.moved.fill(false);
        let mut crowded = crowded(assignment, space.panels.rows, centroids.len(), cap);
        let surplus: usize = crowded.iter().map(|(_, members)| members.len() - cap).sum();
        if surplus * FEW <= space.panels.rows {
            break;
        }
        for (id, members) in &mut crowded {
            // So many must leave that `cap` remain: those that lose least by it.
            let last = members.len() - cap - 1;
            let (_, &mut (loss, _), _) = members.select_nth_unstable_by(last, by_loss);
            centroids.prices[*id] += loss + margin;
            centroids.moved[*id] = true;
        }
    }
    move_surplus(assignment, &space.panels, centroids, cap);
    let pairs = before.iter().zip(&assignment.labels).enumerate().take(space.panels.rows);
    Ok(pairs
        .filter(|(_, (from, to))| from != to)
        .map(|(point, (&from, &to))| Change { point, from, to })
        .collect())
}

/// The members of a group: what each loses by its second choice, and its number.
type Members = Vec<(f32, usize)>;

fn by_loss(a: &(f32, usize), b: &(f32, usize)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// The groups with more than `cap` points, in order.
fn crowded(assignment: &Assignment<'_>, rows: usize, k: usize, cap: usize) -> Vec<(usize, Members)> {
    let labels = &assignment.labels[..rows];
    let mut counts = vec![0_usize; k];
    for &label in labels {
        counts[label as usize] += 1;
    }
    let mut groups: Vec<(usize, Members)> =
        (0..k).filter(|&id| counts[id] > cap).map(|id| (id, Vec::with_capacity(counts[id]))).collect();
    let mut slot = vec![None; k];
    for (i, (id, _)) in groups.iter().enumerate() {
        slot[*id] = Some(i);
    }
    for (point, &label) in labels.iter().enumerate() {
        if let Some(i) = slot[label as usize] {
            groups[i].1.push((assignment.second[point] - assignment.best[point], point));
        }
    }
    groups
}

/// Move the points that prices left over the cap to the cheapest groups with room, least loss first.
fn move_surplus(assignment: &mut Assignment<'_>, panels: &Panels, centroids: &Centroids, cap: usize) {
    let k = centroids.len();
    let crowded = crowded(assignment, panels.rows, k, cap);
    if crowded.is_empty() {
        return;
    }
    let mut counts = vec![0_usize; k];
    for &label in &assignment.labels[..panels.rows] {
        counts[label as usize] += 1;
    }
    let mut surplus: Members = Vec::new();
    for (_, mut members) in crowded {
        members.sort_unstable_by(by_loss);
        surplus.extend(&members[..members.len() - cap]);
    }
    surplus.sort_unstable_by(by_loss);
    for (_, point) in surplus {
        let mut best = (f32::INFINITY, assignment.labels[point] as usize);
        for id in (0..k).filter(|&id| counts[id] < cap) {
            let score = centroids.score(panels, point, id);
            if score < best.0 {
                best = (score, id);
            }
        }
        counts[assignment.labels[point] as usize] -= 1;
        counts[best.1] += 1;
        assignment.labels[point] = best.1 as u32;
        assignment.second[point] = f32::NEG_INFINITY;
    }
}

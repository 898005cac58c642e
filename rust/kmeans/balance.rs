//! Assignment to groups of limited size.

use std::cmp::Ordering;

use super::means::sizes;
use super::nearest::nearest;
use super::points::Space;
use crate::error::{Error, Result};

/// Rounds of price rises before the points still left over are moved one by one.
const ROUNDS: usize = 50;

/// So few left over (one point in this many) are moved at once: the last rounds move few points each.
const FEW: usize = 500;

/// Points moved one by one between two looks at `should_stop`.
const PATIENCE: usize = 1 << 10;

/// A rise goes this share of the mean squared distance beyond what makes enough points leave, so that groups that
/// compete for the same points do not creep up on one another; it bounds how much worse than optimal a point may sit.
const MARGIN: f64 = 3e-3;

/// Give every point one of the centroids at `places` that is near, with at most `cap` points to a group.
///
/// An auction (Bertsekas 1988, "The auction algorithm: a distributed relaxation method for the assignment problem"):
/// a group that is too large raises its price, which is taken off all its scores, until as many of its points prefer
/// their second choice. Only a full group ever has a price, so a point sits at its cheapest place, and the sum of
/// squared distances is near the least that the sizes allow.
///
/// # Errors
/// [`Error::Interrupted`] once `should_stop` says so.
pub(super) fn assign(
    space: &Space<'_>,
    places: &[f32],
    cap: usize,
    should_stop: &dyn Fn() -> bool,
) -> Result<Vec<u32>> {
    let (rows, dim) = (space.points.rows(), space.points.dim);
    let mut prices = vec![0.0; places.len() / dim];
    let margin = (MARGIN * space.variance / 2.0) as f32;
    let mut rounds = 0;
    let (mut labels, mut surplus) = loop {
        let (labels, leads) = nearest::<true>(space, places, &prices, should_stop)?;
        let crowded = crowded(&labels, &leads, prices.len(), cap);
        rounds += 1;
        let surplus: Vec<Leaver> = crowded.iter().flat_map(|(_, leaving)| leaving).copied().collect();
        if rounds == ROUNDS || surplus.len() * FEW <= rows {
            break (labels, surplus);
        }
        for (id, leaving) in crowded {
            prices[id] += leaving.last().map_or(0.0, |last| last.0) + margin;
        }
    };
    // Those left over go to the cheapest groups with room, least loss first.
    let mut sizes = sizes(&labels, prices.len());
    surplus.sort_unstable_by(by_loss);
    let (mut before, row) = (None, |point| space.points.row(point));
    for (moved, (_, point)) in surplus.into_iter().enumerate() {
        if moved.is_multiple_of(PATIENCE) && should_stop() {
            return Err(Error::Interrupted);
        }
        let cost = |id: usize| {
            let pairs = space.moved(row(point)).zip(&places[id * dim..]);
            pairs.map(|(x, c)| (x - c) * (x - c)).sum::<f32>() / 2.0 + prices[id]
        };
        // Equal points come one after the other, and go together while there is room.
        let equal = |&(other, id): &(usize, usize)| sizes[id] < cap && row(other) == row(point);
        let free = (0..sizes.len()).filter(|&id| sizes[id] < cap);
        let cheapest = || Some((point, free.map(|id| (cost(id), id)).min_by(by_loss)?.1));
        before = before.filter(equal).or_else(cheapest);
        if let Some((_, id)) = before {
            sizes[id] += 1;
            labels[point] = id as u32;
        }
    }
    Ok(labels)
}

/// What a point loses by its second choice, and its number; or a group's cost and number.
type Leaver = (f32, usize);

fn by_loss(a: &Leaver, b: &Leaver) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// The groups with more than `cap` points, in order, and those of their points that lose least by leaving, the one
/// that loses most of these last.
fn crowded(labels: &[u32], losses: &[f32], k: usize, cap: usize) -> Vec<(usize, Vec<Leaver>)> {
    let sizes = sizes(labels, k);
    let mut members: Vec<Vec<Leaver>> = vec![Vec::new(); k];
    for (point, (&label, &loss)) in labels.iter().zip(losses).enumerate() {
        if sizes[label as usize] > cap {
            members[label as usize].push((loss, point));
        }
    }
    let full = members.into_iter().enumerate().filter(|(_, members)| members.len() > cap);
    full.map(|(id, mut members)| {
        let surplus = members.len() - cap;
        members.select_nth_unstable_by(surplus - 1, by_loss);
        members.truncate(surplus);
        (id, members)
    })
    .collect()
}

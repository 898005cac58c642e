//! Metrics of ranked lists against each user's relevant (held-out) items.

use rayon::prelude::*;

use crate::csr::Pattern;
use crate::error::{Error, Result, expect_length};

/// Number of metrics [`ranking_metrics`] gives: precision, recall, truncated recall, nDCG, MRR, hit rate.
pub const METRICS: usize = 6;

/// Users whose metrics one task computes.
const TASK: usize = 2048;

/// Ranked lists, one row of `length` items per user; -1 where a list is short.
#[derive(Debug, Clone, Copy)]
pub struct Ranked<'a> {
    items: &'a [i32],
    users: usize,
    length: usize,
}

impl<'a> Ranked<'a> {
    /// View `items`, `(users, length)` in C order.
    ///
    /// # Errors
    /// [`Error::Length`] if that is not how many there are.
    pub fn new(items: &'a [i32], (users, length): (usize, usize)) -> Result<Self> {
        expect_length("ranked", items.len(), users * length)?;
        Ok(Self { items, users, length })
    }

    fn row(&self, user: usize) -> &'a [i32] {
        &self.items[user * self.length..(user + 1) * self.length]
    }

    fn cutoffs(&self, k: &[i64]) -> Result<Vec<usize>> {
        let check = |(position, &value): (usize, &i64)| {
            if (1..=self.length as i64).contains(&value) {
                Ok(value as usize)
            } else {
                Err(Error::Index { argument: "k", position, value, low: 1, high: self.length as i64 + 1 })
            }
        };
        k.iter().enumerate().map(check).collect()
    }
}

/// Metrics of every user at every cutoff: `(METRICS, k.len(), users)` in C order, NaN where nothing is relevant.
///
/// With hits counted among the first k: precision = hits / k, recall = hits / |relevant|, truncated recall = hits /
/// min(k, |relevant|), nDCG with gain 1 / log2(rank + 1) per hit over that of an ideal list cut at k, MRR = 1 / rank of
/// the first hit, hit rate = any hit. An item that stands in a list twice counts twice.
///
/// # Errors
/// [`Error::Length`] unless `relevant` has a row per user; [`Error::Index`] for a cutoff outside `[1, length]`;
/// [`Error::IndptrRow`], [`Error::Unsorted`] or [`Error::Index`] for a row of `relevant` that is not a sorted set of
/// items.
pub fn ranking_metrics(ranked: &Ranked<'_>, relevant: &Pattern<'_>, k: &[i64]) -> Result<Vec<f64>> {
    let Ranked { users, .. } = *ranked;
    expect_length("relevant_indptr", relevant.indptr().rows() + 1, users + 1)?;
    let cutoffs = ranked.cutoffs(k)?;
    let mut out = vec![0.0; METRICS * cutoffs.len() * users];
    if out.is_empty() {
        return Ok(out);
    }
    let deepest = cutoffs.iter().copied().max().unwrap_or(0);
    let gains: Vec<f64> = (0..deepest).map(|place| (place as f64 + 2.0).log2().recip()).collect();
    let ideal = running_sums(&gains);

    // Each metric's values are contiguous over users, so a task owns one piece of every plane.
    let mut tasks: Vec<Vec<&mut [f64]>> = (0..users.div_ceil(TASK)).map(|_| Vec::new()).collect();
    for plane in out.chunks_exact_mut(users) {
        for (task, piece) in tasks.iter_mut().zip(plane.chunks_mut(TASK)) {
            task.push(piece);
        }
    }
    let judge = |(task, mut planes): (usize, Vec<&mut [f64]>)| -> Option<Error> {
        let mut hits = Vec::with_capacity(deepest);
        for offset in 0..planes[0].len() {
            let user = task * TASK + offset;
            let relevant = match relevant.sorted_row(user, true) {
                Ok(relevant) => relevant,
                Err(error) => return Some(error),
            };
            if relevant.is_empty() {
                for plane in &mut planes {
                    plane[offset] = f64::NAN;
                }
                continue;
            }
            find_hits(&ranked.row(user)[..deepest], relevant, &mut hits);
            let first = hits.first().map_or(0.0, |&place| (place as f64 + 1.0).recip());
            for (which, &k) in cutoffs.iter().enumerate() {
                let within = &hits[..hits.partition_point(|&place| place < k)];
                let (hit, n) = (within.len() as f64, relevant.len());
                let reachable = k.min(n);
                let any = f64::from(!within.is_empty());
                let values = [
                    hit / k as f64,
                    hit / n as f64,
                    hit / reachable as f64,
                    within.iter().fold(0.0, |dcg, &place| dcg + gains[place]) / ideal[reachable],
                    any * first,
                    any,
                ];
                for (metric, value) in values.into_iter().enumerate() {
                    planes[metric * cutoffs.len() + which][offset] = value;
                }
            }
        }
        None
    };
    match tasks.into_par_iter().enumerate().find_map_first(judge) {
        Some(error) => Err(error),
        None => Ok(out),
    }
}

/// Relevant items up to which comparing each with the whole list is faster than looking up every place of the list.
const FEW: usize = 24;

/// Places of a list compared at once.
const LANES: usize = 16;

/// The places of `list` that hold one of the `relevant` items, which ascend and are not below 0.
fn find_hits(list: &[i32], relevant: &[i32], hits: &mut Vec<usize>) {
    hits.clear();
    if relevant.len() > FEW {
        let hit = |item: &i32| relevant.binary_search(item).is_ok();
        hits.extend(list.iter().enumerate().filter(|(_, item)| hit(item)).map(|(place, _)| place));
        return;
    }
    let (chunks, tail) = list.as_chunks::<LANES>();
    let mut padded = [-1; LANES];
    padded[..tail.len()].copy_from_slice(tail);
    for (number, chunk) in chunks.iter().chain((!tail.is_empty()).then_some(&padded)).enumerate() {
        // No early exit, so that the comparisons vectorise.
        let mut equal = [false; LANES];
        for item in relevant {
            for (equal, other) in equal.iter_mut().zip(chunk) {
                *equal |= other == item;
            }
        }
        if equal.contains(&true) {
            hits.extend((0..LANES).filter(|&lane| equal[lane]).map(|lane| number * LANES + lane));
        }
    }
}

/// Share of `n_items` items that stand in some user's first k, one value per cutoff.
///
/// # Errors
/// [`Error::Setting`] if there are no items; [`Error::Index`] for a cutoff outside `[1, length]` or an item that does
/// not exist.
pub fn coverage(ranked: &Ranked<'_>, n_items: usize, k: &[i64]) -> Result<Vec<f64>> {
    if n_items == 0 {
        return Err(Error::setting("n_items", &n_items, "at least 1"));
    }
    let cutoffs = ranked.cutoffs(k)?;
    let missing = |item: &i32| usize::try_from(*item).is_ok_and(|item| item >= n_items);
    if let Some(position) = ranked.items.iter().position(missing) {
        let (value, high) = (ranked.items[position].into(), n_items as i64);
        return Err(Error::Index { argument: "ranked", position, value, low: -1, high });
    }
    // A bit per item that could be listed: one item of a great number would ask for gigabytes of anything longer.
    let listed = ranked.items.iter().max().map_or(0, |&item| (i64::from(item) + 1).max(0) as usize);
    let mut seen = vec![0_u64; listed.div_ceil(64)];
    let mut shares = vec![0.0; cutoffs.len()];
    let mut order: Vec<usize> = (0..cutoffs.len()).collect();
    order.sort_unstable_by_key(|&which| cutoffs[which]);
    let (mut found, mut from) = (0_usize, 0);
    for which in order {
        // What a smaller cutoff has counted need not be looked at again.
        for user in 0..ranked.users {
            for &item in &ranked.row(user)[from..cutoffs[which]] {
                let Ok(item) = usize::try_from(item) else { continue };
                let (word, bit) = (&mut seen[item / 64], 1 << (item % 64));
                found += usize::from(*word & bit == 0);
                *word |= bit;
            }
        }
        from = cutoffs[which];
        shares[which] = found as f64 / n_items as f64;
    }
    Ok(shares)
}

fn running_sums(values: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    sums.extend(values.iter().scan(0.0, |sum, value| {
        *sum += value;
        Some(*sum)
    }));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csr::offsets;
    use proptest::prelude::*;

    fn metrics(ranked: &[i32], shape: (usize, usize), relevant: &[&[i32]], k: &[i64]) -> Result<Vec<f64>> {
        let indices = relevant.concat();
        let indptr = offsets(relevant.iter().map(|row| row.len()));
        let relevant = Pattern::new(["relevant_indptr", "relevant_indices"], &indptr, &indices)?;
        ranking_metrics(&Ranked::new(ranked, shape)?, &relevant, k)
    }

    fn close(got: &[f64], expected: &[f64]) -> bool {
        got.len() == expected.len()
            && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15 || a.is_nan() && b.is_nan())
    }

    #[test]
    fn one_user_worked_out_by_hand() {
        // Hits at ranks 2 and 4 of the five; three items are relevant.
        let got = metrics(&[7, 1, 8, 3, -1], (1, 5), &[&[1, 3, 9]], &[1, 2, 4, 5]).expect("sound");
        let gain = |rank: f64| 1.0 / (rank + 1.0).log2();
        let ideal = |n: usize| (1..=n).map(|rank| gain(rank as f64)).sum::<f64>();
        let expected = [
            [0.0, 1.0 / 2.0, 2.0 / 4.0, 2.0 / 5.0],
            [0.0, 1.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0],
            [0.0, 1.0 / 2.0, 2.0 / 3.0, 2.0 / 3.0],
            [
                0.0,
                gain(2.0) / ideal(2),
                (gain(2.0) + gain(4.0)) / ideal(3),
                (gain(2.0) + gain(4.0)) / ideal(3),
            ],
            [0.0, 0.5, 0.5, 0.5],
            [0.0, 1.0, 1.0, 1.0],
        ];
        assert!(close(&got, &expected.concat()), "{got:?}");
    }

    #[test]
    fn users_with_nothing_relevant_are_nan_and_the_ideal_list_scores_one() {
        let got = metrics(&[5, 6, 2, 0, -1, -1], (3, 2), &[&[], &[0, 2], &[1]], &[2]).expect("sound");
        for (metric, values) in got.chunks_exact(3).enumerate() {
            assert!(values[0].is_nan() && close(&values[1..], &[1.0, 0.0]), "metric {metric}: {values:?}");
        }
    }

    #[test]
    fn every_user_is_judged_across_task_borders() {
        let users = 2 * TASK + 3;
        let ranked: Vec<i32> = (0..users as i32).flat_map(|user| [user % 7, 100]).collect();
        let rows: Vec<[i32; 1]> = (0..users as i32).map(|user| [user % 3]).collect();
        let rows: Vec<&[i32]> = rows.iter().map(<[i32; 1]>::as_slice).collect();
        let got = metrics(&ranked, (users, 2), &rows, &[2, 1]).expect("sound");
        let hits: Vec<f64> = (0..users).map(|user| f64::from(u8::from(user % 7 == user % 3))).collect();
        assert!(close(&got[2 * users..3 * users], &hits) && close(&got[3 * users..4 * users], &hits));
    }

    #[test]
    fn degenerate_shapes_and_broken_promises() {
        assert_eq!(metrics(&[], (0, 3), &[], &[1, 3]), Ok(vec![]));
        assert_eq!(metrics(&[1, 2], (1, 2), &[&[1]], &[]), Ok(vec![]));
        for value in [0, -1, 3, i64::MIN] {
            let error = Error::Index { argument: "k", position: 1, value, low: 1, high: 3 };
            assert_eq!(metrics(&[1, 2], (1, 2), &[&[1]], &[1, value]), Err(error));
        }
        let length = |argument, got, expected| Err(Error::Length { argument, got, expected });
        assert_eq!(metrics(&[1, 2], (1, 2), &[&[1], &[2]], &[1]), length("relevant_indptr", 3, 2));
        assert_eq!(metrics(&[1, 2], (1, 3), &[&[1]], &[1]), length("ranked", 2, 3));
        let unsorted =
            Error::Unsorted { argument: "relevant_indices", row: 1, previous: 4, next: 4, unique: true };
        assert_eq!(metrics(&[1, 2], (2, 1), &[&[], &[4, 4]], &[1]), Err(unsorted));
        // What is no item would be counted among the relevant ones, and never found.
        let (argument, high) = ("relevant_indices", 1 << 31);
        let below = Error::Index { argument, position: 1, value: -1, low: 0, high };
        assert_eq!(metrics(&[1, -1], (2, 1), &[&[1], &[-1, 4]], &[1]), Err(below));
    }

    #[test]
    fn coverage_counts_each_item_once() {
        let ranked = Ranked::new(&[0, 3, 1, 3, 0, -1], (3, 2)).expect("sound");
        assert_eq!(coverage(&ranked, 4, &[1, 2]), Ok(vec![0.5, 0.75]));
        assert_eq!(coverage(&ranked, 4, &[2, 1, 2]), Ok(vec![0.75, 0.5, 0.75]));
        let error = Error::Index { argument: "ranked", position: 1, value: 3, low: -1, high: 3 };
        assert_eq!(coverage(&ranked, 3, &[1]), Err(error));
        assert!(matches!(coverage(&ranked, 0, &[1]), Err(Error::Setting { argument: "n_items", .. })));
    }

    proptest! {
        /// Few relevant items or many, lists of any length: a hit is a place whose item is relevant and exists.
        #[test]
        fn hits_are_found_either_way(
            list in prop::collection::vec(-1..60_i32, 0..3 * LANES),
            relevant in prop::collection::btree_set(0..60_i32, 0..2 * FEW),
        ) {
            let relevant: Vec<i32> = relevant.into_iter().collect();
            let mut hits = vec![7];
            find_hits(&list, &relevant, &mut hits);
            let hit = |place: &usize| relevant.contains(&list[*place]);
            prop_assert_eq!(hits, (0..list.len()).filter(hit).collect::<Vec<_>>());
        }
    }
}

//! Items a user does not have, to rank below one that the user has (Rendle et al. 2009, "BPR").

use rayon::prelude::*;

use crate::csr::Pattern;
use crate::error::Result;
use crate::random::Random;

/// Stands where a user has every item, so that there is none to draw.
pub const NO_ITEM: i64 = -1;

/// For each of `rows`, an item drawn uniformly from those of `0..items` that its row of `histories` lacks.
///
/// Draw i depends on `seed`, `epoch` and i alone. [`NO_ITEM`] where a row lacks none.
///
/// # Errors
/// [`Error::IndptrRow`] or [`Error::Unsorted`] for a row of `histories` that is not a sorted set, [`Error::Index`] for
/// one of its items or one of `rows` that does not exist.
pub fn negative_items(
    histories: &Pattern<'_>,
    items: usize,
    rows: &[i64],
    seed: u64,
    epoch: u64,
) -> Result<Vec<i64>> {
    // Rows come many times: each is checked once, here.
    let taken_by_row = (0..histories.indptr().rows())
        .map(|row| histories.set_within(row, items))
        .collect::<Result<Vec<_>>>()?;
    for position in 0..rows.len() {
        histories.indptr().row(rows, position)?;
    }
    let draws = Random::new(Random::new(seed).skip(epoch).next());
    let draw = |(position, &row): (usize, &i64)| {
        let taken = taken_by_row[row as usize];
        match items - taken.len() {
            0 => NO_ITEM,
            left => nth_left(taken, draws.skip(position as u64).below(left)),
        }
    };
    Ok(rows.par_iter().enumerate().with_min_len(1024).map(draw).collect())
}

/// The n-th item, counted from 0, that is not in the sorted set `taken`.
///
/// One draw is enough however many items a user has; drawing until one comes up that is left would need ever more.
fn nth_left(taken: &[i32], n: usize) -> i64 {
    // `taken[i] - i` items below `taken[i]` are left; the wanted one follows all those with at most n left below.
    let (mut low, mut high) = (0, taken.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if taken[middle] as usize - middle <= n {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (n + low) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use proptest::prelude::*;

    const INDPTR: [i64; 5] = [0, 3, 3, 8, 9];
    const INDICES: [i32; 9] = [0, 2, 3, 0, 1, 2, 3, 4, 4];

    fn draw(items: usize, rows: &[i64], seed: u64, epoch: u64) -> Result<Vec<i64>> {
        negative_items(&Pattern::new(["indptr", "indices"], &INDPTR, &INDICES)?, items, rows, seed, epoch)
    }

    #[test]
    fn who_has_everything_gets_no_item() {
        assert_eq!(draw(5, &[2, 2], 0, 0), Ok(vec![NO_ITEM, NO_ITEM]));
        assert_eq!(draw(5, &[], 0, 0), Ok(vec![]));
    }

    #[test]
    fn every_unseen_item_is_as_likely() {
        let n = 60_000;
        for (row, unseen) in [(0, vec![1, 4]), (1, vec![0, 1, 2, 3, 4]), (3, vec![0, 1, 2, 3])] {
            let drawn = draw(5, &vec![row; n], 7, 1).expect("valid");
            let expected = n as f64 / unseen.len() as f64;
            let squares = (0..5).map(|item| {
                let count = drawn.iter().filter(|&&drawn| drawn == item).count();
                assert!(count == 0 || unseen.contains(&item));
                if unseen.contains(&item) { (count as f64 - expected).powi(2) / expected } else { 0.0 }
            });
            // Chi-square with at most 4 degrees of freedom: above 18.5 in one of a thousand samples.
            assert!(squares.sum::<f64>() < 18.5);
        }
    }

    #[test]
    fn seeds_and_epochs_draw_anew() {
        let rows = vec![1; 200];
        let first = draw(5, &rows, 1, 1).expect("valid");
        assert_eq!(draw(5, &rows, 1, 1), Ok(first.clone()));
        for (seed, epoch) in [(1, 2), (2, 1), (0, 1)] {
            let same = draw(5, &rows, seed, epoch)
                .expect("valid")
                .iter()
                .zip(&first)
                .filter(|(a, b)| a == b)
                .count();
            assert!((10..80).contains(&same), "{same} of 200 agree, expected about 40");
        }
    }

    #[test]
    fn any_number_of_threads_draws_the_same() {
        let rows: Vec<i64> = (0..9999).map(|i| i % 4).collect();
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| draw(5, &rows, 3, 4))
        };
        assert_eq!(of(1), of(2));
        assert_eq!(of(1), of(3));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let error = Error::Index { argument: "indices", position: 2, value: 3, low: 0, high: 3 };
        assert_eq!(draw(3, &[0], 0, 0), Err(error));
        let error = Error::Index { argument: "indices", position: 7, value: 4, low: 0, high: 4 };
        assert_eq!(draw(4, &[0], 0, 0), Err(error));
        let error = Error::Index { argument: "rows", position: 1, value: 4, low: 0, high: 4 };
        assert_eq!(draw(5, &[0, 4], 0, 0), Err(error));
    }

    proptest! {
        #[test]
        fn the_nth_item_left_is_found(taken in prop::collection::btree_set(0..40_i32, 0..40), n in 0..40_usize) {
            let taken: Vec<i32> = taken.into_iter().collect();
            let expected = (0..).filter(|item| !taken.contains(item)).nth(n).expect("endless");
            prop_assert_eq!(nth_left(&taken, n), i64::from(expected));
        }
    }
}

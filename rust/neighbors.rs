//! The items most like each item, found by walking from it over its users to the items they have.
//!
//! That is a product of sparse matrices, formed a row at a time: nothing ever has the size of items x items.

use std::ops::Range;

use rayon::prelude::*;

use crate::csr::{Indptr, Ragged, finite, within};
use crate::dense::blocks;
use crate::error::{Error, Result, expect_length};
use crate::topk::{key, unpack};

/// Items whose rows one task forms, which looks for an interruption first.
const ITEMS: usize = 16;
/// Items whose neighbours are found before they are put together, so that no more than these are held twice.
const ROUND: usize = 1024 * ITEMS;

/// Two user x item matrices of the same pattern, L and R, whose product `L'R` says how alike items are.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    indptr: Indptr<'a>,
    indices: &'a [i32],
    right: &'a [f32],
    items: usize,
    /// The user and the value of each entry of L.
    left: ByItem<(u32, f32)>,
}

/// Values that belong to items, those of each item in the order given.
#[derive(Debug, Clone)]
struct ByItem<T> {
    starts: Vec<usize>,
    values: Vec<T>,
}

impl<T: Copy + Default> ByItem<T> {
    fn new(items: usize, given: impl Iterator<Item = (usize, T)> + Clone) -> Self {
        let mut starts = vec![0; items + 1];
        given.clone().for_each(|(item, _)| starts[item + 1] += 1);
        for item in 0..items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut values = vec![T::default(); starts[items]];
        for (item, value) in given {
            values[next[item]] = value;
            next[item] += 1;
        }
        Self { starts, values }
    }

    fn of(&self, item: usize) -> &[T] {
        &self.values[self.starts[item]..self.starts[item + 1]]
    }
}

impl<'a> Walk<'a> {
    /// View the pattern with the values of R and transpose L.
    ///
    /// # Errors
    /// [`Error::Length`] if the arrays do not go together; the variants of [`Indptr::check`]; [`Error::Index`] for an
    /// item outside `0..items`; [`Error::NotFinite`] for a value that is NaN or infinite.
    pub fn new(
        indptr: &'a [i64],
        indices: &'a [i32],
        left: &[f32],
        right: &'a [f32],
        items: usize,
    ) -> Result<Self> {
        for (argument, values) in [("data", left), ("right", right)] {
            expect_length(argument, values.len(), indices.len())?;
            finite(argument, values)?;
        }
        let indptr = Indptr::new("indptr", indptr, indices.len())?;
        indptr.check()?;
        if indptr.rows() > u32::MAX as usize {
            return Err(Error::setting("users", &indptr.rows(), "users that fit in uint32"));
        }
        if items > i32::MAX as usize {
            return Err(Error::setting("n_items", &items, "items that fit in int32"));
        }
        within("indices", indices, 0, 0, items)?;
        // Checked above.
        let entries = |user| indptr.range(user).unwrap_or_default();
        let given = (0..indptr.rows()).flat_map(|user| {
            entries(user).map(move |entry| (indices[entry] as usize, (user as u32, left[entry])))
        });
        let left = ByItem::new(items, given);
        Ok(Self { indptr, indices, right, items, left })
    }

    /// The `k` greatest entries of each row of `L'R`, entries of 0 left out; of equal ones the first.
    ///
    /// Sums are formed in double precision in the order of the users. With `itself` an item may be among its own.
    ///
    /// # Errors
    /// [`Error::Setting`] if `k` is 0, [`Error::Interrupted`] once `should_stop` says so.
    pub fn nearest(&self, k: usize, itself: bool, should_stop: &(dyn Fn() -> bool + Sync)) -> Result<Ragged> {
        if k == 0 {
            return Err(Error::setting("k", &k, "at least 1"));
        }
        let mut all = Ragged { indptr: vec![0], ..Ragged::default() };
        for round in blocks(self.items, ROUND) {
            let nearest = |items: Range<usize>, reached: &mut Reached| {
                let mut found = Ragged::default();
                for item in items {
                    self.reach(item, reached);
                    reached.keep(k, (!itself).then_some(item), &mut found);
                }
                found
            };
            for found in self.each_block(round, should_stop, nearest)? {
                let before = all.indices.len() as i64;
                all.indptr.extend(found.indptr.iter().map(|end| before + end));
                all.indices.extend(found.indices);
                all.data.extend(found.data);
            }
        }
        Ok(all)
    }

    /// For each place of lists of `length` the sum of the entries of `L'R` between its item and those listed before it.
    ///
    /// -1 is no item, where a list is short. An item's row is formed once, in whatever number of lists it stands.
    ///
    /// # Errors
    /// [`Error::Index`] for an item outside `-1..items`, [`Error::Interrupted`] once `should_stop` says so.
    pub fn pair_sums(
        &self,
        lists: &[i32],
        length: usize,
        should_stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<f64>> {
        within("ranked", lists, 0, -1, self.items)?;
        let length = length.max(1);
        // Before the first of a list there is nothing.
        let given = (0..lists.len()).filter(|place| place % length > 0);
        let given = given.filter_map(|place| Some((usize::try_from(lists[place]).ok()?, place)));
        let places = ByItem::new(self.items, given);
        let sum = |items: Range<usize>, reached: &mut Reached| {
            let mut sums = Vec::new();
            for item in items.filter(|&item| !places.of(item).is_empty()) {
                self.reach(item, reached);
                sums.extend(places.of(item).iter().map(|&place| {
                    let before = lists[place - place % length..place].iter();
                    before.filter(|&&other| other >= 0).map(|&other| reached.get(other)).sum::<f64>()
                }));
                reached.clear();
            }
            sums
        };
        let sums = self.each_block(0..self.items, should_stop, sum)?;
        let mut out = vec![0.0; lists.len()];
        for (&place, sum) in places.values.iter().zip(sums.into_iter().flatten()) {
            out[place] = sum;
        }
        Ok(out)
    }

    /// What `find` makes of each block of [`ITEMS`] of `items`, in their order.
    fn each_block<T: Send>(
        &self,
        items: Range<usize>,
        should_stop: &(dyn Fn() -> bool + Sync),
        find: impl Fn(Range<usize>, &mut Reached) -> T + Sync,
    ) -> Result<Vec<T>> {
        let all: Vec<_> = blocks(items.len(), ITEMS).collect();
        all.into_par_iter()
            .map_init(
                || Reached::new(self.items),
                |reached, block| {
                    if should_stop() {
                        return Err(Error::Interrupted);
                    }
                    Ok(find(items.start + block.start..items.start + block.end, reached))
                },
            )
            .collect()
    }

    fn reach(&self, item: usize, reached: &mut Reached) {
        for &(user, left) in self.left.of(item) {
            // Checked when made.
            let Ok(entries) = self.indptr.range(user as usize) else { continue };
            for (&other, &right) in self.indices[entries.clone()].iter().zip(&self.right[entries]) {
                reached.add(other, f64::from(left) * f64::from(right));
            }
        }
    }
}

/// One row of the product while it is formed.
struct Reached {
    /// NaN where the row has no entry yet: 0 may be the sum of some.
    sums: Vec<f64>,
    items: Vec<i32>,
    keys: Vec<u64>,
}

impl Reached {
    fn new(items: usize) -> Self {
        Self { sums: vec![f64::NAN; items], items: Vec::new(), keys: Vec::new() }
    }

    #[inline]
    fn add(&mut self, item: i32, value: f64) {
        let sum = &mut self.sums[item as usize];
        if sum.is_nan() {
            *sum = value;
            self.items.push(item);
        } else {
            *sum += value;
        }
    }

    fn get(&self, item: i32) -> f64 {
        let sum = self.sums[item as usize];
        if sum.is_nan() { 0.0 } else { sum }
    }

    fn clear(&mut self) {
        for item in self.items.drain(..) {
            self.sums[item as usize] = f64::NAN;
        }
    }

    /// Append the best of the row to `out` and forget the row.
    fn keep(&mut self, k: usize, without: Option<usize>, out: &mut Ragged) {
        self.keys.clear();
        for item in self.items.drain(..) {
            let sum = std::mem::replace(&mut self.sums[item as usize], f64::NAN) as f32;
            if sum != 0.0 && without != Some(item as usize) {
                self.keys.push(key(sum, item));
            }
        }
        if self.keys.len() > k {
            self.keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
            self.keys.truncate(k);
        }
        self.keys.sort_unstable_by_key(|&key| unpack(key).1);
        for &key in &self.keys {
            let (value, item) = unpack(key);
            out.indices.push(item);
            out.data.push(value);
        }
        out.indptr.push(out.indices.len() as i64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::csr::offsets;
    use proptest::prelude::*;

    const ITEMS: usize = 7;

    /// The same from dense matrices.
    fn by_definition(rows: &[Vec<(i32, f32, f32)>], k: usize, itself: bool) -> Vec<Vec<(i32, f32)>> {
        let mut product = [[0.0; ITEMS]; ITEMS];
        for row in rows {
            for &(a, left, _) in row {
                for &(b, _, right) in row {
                    product[a as usize][b as usize] += f64::from(left) * f64::from(right);
                }
            }
        }
        let best = |(item, row): (usize, &[f64; ITEMS])| {
            let kept = |&(other, value): &(i32, f32)| value != 0.0 && (itself || other as usize != item);
            let mut row: Vec<_> =
                row.iter().enumerate().map(|(j, &v)| (j as i32, v as f32)).filter(kept).collect();
            row.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            row.truncate(k);
            row.sort_by_key(|entry| entry.0);
            row
        };
        product.iter().enumerate().map(best).collect()
    }

    proptest! {
        #[test]
        fn keeps_the_best_of_the_product(
            // Small whole numbers: exact sums, many ties and cancellations.
            rows in prop::collection::vec(
                prop::collection::btree_map(0..ITEMS as i32, (-2..3_i8, -2..3_i8), 0..ITEMS), 0..9,
            ),
            k in 1..9_usize,
            itself: bool,
        ) {
            let rows: Vec<Vec<_>> = rows
                .into_iter()
                .map(|row| row.into_iter().map(|(j, (l, r))| (j, f32::from(l), f32::from(r))).collect())
                .collect();
            let entries = rows.concat();
            let indptr = offsets(rows.iter().map(Vec::len));
            let indices: Vec<i32> = entries.iter().map(|entry| entry.0).collect();
            let left: Vec<f32> = entries.iter().map(|entry| entry.1).collect();
            let right: Vec<f32> = entries.iter().map(|entry| entry.2).collect();
            let walk = Walk::new(&indptr, &indices, &left, &right, ITEMS).expect("sound");
            let found = walk.nearest(k, itself, &|| false).expect("k is positive");
            let found: Vec<Vec<_>> = found
                .indptr
                .windows(2)
                .map(|ends| {
                    let range = ends[0] as usize..ends[1] as usize;
                    found.indices[range.clone()].iter().copied().zip(found.data[range].iter().copied()).collect()
                })
                .collect();
            prop_assert_eq!(found, by_definition(&rows, k, itself));
        }
    }

    #[test]
    fn stops_between_any_two_blocks_of_items() {
        let indices: Vec<i32> = (0..3 * super::ITEMS as i32).collect();
        let (indptr, values) = ([0, indices.len() as i64], vec![1.0; indices.len()]);
        let walk = Walk::new(&indptr, &indices, &values, &values, indices.len()).expect("sound");
        for patience in 0..3 {
            let asked = AtomicUsize::new(0);
            let should_stop = || asked.fetch_add(1, Ordering::Relaxed) >= patience;
            assert_eq!(walk.nearest(2, true, &should_stop), Err(Error::Interrupted));
            asked.store(0, Ordering::Relaxed);
            assert_eq!(walk.pair_sums(&indices, 48, &should_stop), Err(Error::Interrupted));
        }
    }

    #[test]
    fn broken_promises() {
        let (indptr, indices, values) = ([0, 2, 3], [0, 2, 1], [1.0; 3]);
        let call =
            |left: &[f32], right: &[f32], items| Walk::new(&indptr, &indices, left, right, items).err();
        assert_eq!(call(&values, &values, 3), None);
        let short = |argument| Some(Error::Length { argument, got: 2, expected: 3 });
        assert_eq!(call(&values[1..], &values, 3), short("data"));
        assert_eq!(call(&values, &values[1..], 3), short("right"));
        let error = Error::Index { argument: "indices", position: 1, value: 2, low: 0, high: 2 };
        assert_eq!(call(&values, &values, 2), Some(error));
        let error = call(&values, &[1.0, f32::INFINITY, 1.0], 3);
        let value = f64::INFINITY;
        assert_eq!(error, Some(Error::NotFinite { argument: "right", position: 1, value }));
        assert!(matches!(
            call(&values, &values, usize::MAX),
            Some(Error::Setting { argument: "n_items", .. })
        ));

        let walk = Walk::new(&indptr, &indices, &values, &values, 3).expect("sound");
        assert!(matches!(walk.nearest(0, true, &|| false), Err(Error::Setting { argument: "k", .. })));
        assert_eq!(walk.nearest(1, true, &|| true), Err(Error::Interrupted));
    }
}

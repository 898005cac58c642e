//! Running top-K lists over blocks of scores.
//!
//! The order is total: score descending, then item ascending; so it does not matter how the items are cut into blocks
//! or in which order the blocks come.

mod scan;
mod shortlist;

use std::ops::Range;

use rayon::prelude::*;

use crate::csr::Pattern;
use crate::error::{Error, Result, expect_length};
use crate::simd::{Level, with_vectors};
use scan::{MOST_DENIED, Scan};
use shortlist::Shortlist;
pub(crate) use shortlist::{key, unpack};

/// The scores of some users for a run of consecutive items, and what must not be recommended to them.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// `(users, width)` in C order.
    pub scores: &'a [f32],
    /// Number of items in the block.
    pub width: usize,
    /// Item of the first column.
    pub first_item: usize,
    /// Which items each row of the seen matrix leaves out.
    pub seen: Pattern<'a>,
    /// The row of the seen matrix that belongs to each user.
    pub rows: &'a [i64],
    /// Per item, whether nobody may get it (anything but 0).
    pub denied: Option<&'a [u8]>,
}

/// Merge a block of scores into the users' running lists, `items` and `values` of `(users, k)` in C order.
///
/// Lists start as -1 and -inf; places that no candidate fills stay so. A score of -inf is never a candidate. NaN is an
/// error unless the item is seen or denied, in which case its score is not looked at. A score of -0.0 counts and is
/// returned as 0.0. After an error the lists may be partly updated.
///
/// # Errors
/// [`Error::Length`], [`Error::Setting`] or [`Error::Index`] if the arrays do not go together; [`Error::IndptrRow`] or
/// [`Error::Unsorted`] for a bad row of the seen matrix; [`Error::RunningList`] for lists that did not come from here;
/// [`Error::NanScore`]; [`Error::Level`].
pub fn top_k(block: &Block<'_>, items: &mut [i32], values: &mut [f32], k: usize) -> Result<()> {
    top_k_at(Level::current()?, block, items, values, k)
}

fn top_k_at(level: Level, block: &Block<'_>, items: &mut [i32], values: &mut [f32], k: usize) -> Result<()> {
    let Block { scores, width, first_item, seen, rows, denied } = *block;
    let users = rows.len();
    if k == 0 {
        return Err(Error::setting("k", &k, "at least 1"));
    }
    for (argument, got, columns) in
        [("scores", scores.len(), width), ("items", items.len(), k), ("values", values.len(), k)]
    {
        expect_length(argument, got, users * columns)?;
    }
    let last_item = first_item.saturating_add(width);
    if last_item > i32::MAX as usize {
        return Err(Error::setting("first_item", &first_item, "items that fit in int32"));
    }
    if let Some(denied) = denied
        && denied.len() < last_item
    {
        return Err(Error::Length { argument: "denied", got: denied.len(), expected: last_item });
    }

    let first_item = first_item as i32;
    let denied_items = denied_items(denied, first_item as usize..last_item);
    let merge = |(shortlist, maxima): &mut (Shortlist, Vec<f32>),
                 (user, (items, values)): (usize, (&mut [i32], &mut [f32]))| {
        let row = seen.indptr().row(rows, user)?;
        let seen = seen.sorted_row(row, false)?;
        shortlist.load(items, values).ok_or(Error::RunningList { row: user })?;
        let scan = Scan {
            scores: &scores[user * width..(user + 1) * width],
            first_item,
            seen: &seen[seen.partition_point(|&item| item < first_item)..],
            denied,
            denied_items: denied_items.as_deref(),
            shortlist,
            maxima,
        };
        with_vectors(level, scan).map_err(|column| Error::NanScore { row: user, column })?;
        shortlist.store(items, values);
        Ok(())
    };
    items
        .par_chunks_mut(k)
        .zip(values.par_chunks_mut(k))
        .enumerate()
        .map_init(|| (Shortlist::new(k), Vec::new()), |buffers, row| merge(buffers, row).err())
        .find_map_first(|error| error)
        .map_or(Ok(()), Err)
}

/// The denied among some items, unless they are more than [`MOST_DENIED`].
fn denied_items(denied: Option<&[u8]>, items: Range<usize>) -> Option<Vec<i32>> {
    let Some(denied) = denied else { return Some(Vec::new()) };
    let mut found = items.filter(|&item| denied[item] != 0).map(|item| item as i32);
    let few = found.by_ref().take(MOST_DENIED).collect();
    found.next().is_none().then_some(few)
}

#[cfg(test)]
mod tests;

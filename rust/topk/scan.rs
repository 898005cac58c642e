//! The scan of one user's scores for those that may go on the list: nearly all of the time of a ranking.
//!
//! Most scores are below the list's floor, and vectors find that out as fast as memory gives the scores. What remains
//! costs far more each, and comes mostly while the floor is low. So, if the list is not full yet, a first pass finds a
//! floor that nearly nothing but the best reaches; the second pass then has the scores in the cache.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use super::shortlist::{Shortlist, key};
use crate::simd::{PADDING, Vector, Work};

/// Scores compared at once, as many as a word has bits.
const CHUNK: usize = 64;

/// The first pass looks at no more chunks than a small second-level cache holds.
const MOST_CHUNKS: usize = (1 << 16) / CHUNK;

/// A part of the first pass has at least so many chunks: the greatest score of fewer is hardly above the others.
const LEAST_CHUNKS: usize = 4;

/// The first pass has at most so many parts, each with [`CHUNK`] maxima: to select among more takes longer than it saves.
const MOST_PARTS: usize = 8;

/// If more items than this are denied, going through them for each user takes longer than it saves.
pub const MOST_DENIED: usize = 256;

/// The candidates of one user in a block, to be put on a list.
pub struct Scan<'a> {
    /// Scores of consecutive items.
    pub scores: &'a [f32],
    /// Item of the first score.
    pub first_item: i32,
    /// Items left out, ascending; only those from the first item on.
    pub seen: &'a [i32],
    /// Per item, whether it is left out.
    pub denied: Option<&'a [u8]>,
    /// The denied items of the block, unless they are more than [`MOST_DENIED`].
    pub denied_items: Option<&'a [i32]>,
    /// The list.
    pub shortlist: &'a mut Shortlist,
    /// Room for the maxima of the first pass.
    pub maxima: &'a mut Vec<f32>,
}

impl Work for Scan<'_> {
    /// Nothing, or the column of a NaN that is not left out.
    type Output = Result<(), usize>;
    const WIDEST: usize = PADDING;

    #[inline(always)]
    fn run<V: Vector>(mut self) -> Result<(), usize> {
        let (chunks, tail) = self.scores.as_chunks();
        if self.shortlist.bar == 0
            && let Some(denied) = self.denied_items
        {
            self.raise_bar::<V>(chunks, denied);
        }
        // -inf is below every floor, so the padding never survives.
        let mut padded = [f32::NEG_INFINITY; CHUNK];
        padded[..tail.len()].copy_from_slice(tail);
        for (start, chunks) in [(0, chunks), (chunks.len() * CHUNK, &[padded])] {
            let mut floor = V::splat(self.shortlist.floor(self.first_item + start as i32));
            for (number, chunk) in chunks.iter().enumerate() {
                if any_survivor(chunk, floor) {
                    let first = start + number * CHUNK;
                    floor = V::splat(self.offer(first, chunk, survivors(chunk, floor))?);
                }
            }
        }
        Ok(())
    }
}

impl Scan<'_> {
    /// Raise the bar to a score that at least k candidates are seen to reach.
    ///
    /// The chunks are cut into parts, and each lane of a part gives its maximum. Where that may be the score of an item
    /// left out, it does not count; every other is the score of a candidate of its own.
    #[inline(always)]
    fn raise_bar<V: Vector>(&mut self, chunks: &[[f32; CHUNK]], denied: &[i32]) {
        let chunks = &chunks[..chunks.len().min(MOST_CHUNKS)];
        let k = self.shortlist.k();
        // Twice as many maxima as may be needed, so that the lowest one needed is a typical one.
        let wanted = k.saturating_add(self.seen.len()).saturating_mul(2).div_ceil(CHUNK);
        let parts = wanted.min(MOST_PARTS).min(chunks.len() / LEAST_CHUNKS);
        if parts * CHUNK < k {
            return;
        }
        let length = chunks.len() / parts;
        self.maxima.clear();
        for part in chunks.chunks_exact(length).take(parts) {
            let start = self.maxima.len();
            self.maxima.resize(start + CHUNK, f32::NEG_INFINITY);
            lane_maxima::<V>(part, &mut self.maxima[start..]);
        }
        for item in self.seen.iter().chain(denied) {
            let column = (item - self.first_item) as usize;
            let place = column / CHUNK / length * CHUNK + column % CHUNK;
            // Items behind the last part have no place.
            if let Some(greatest) = self.maxima.get_mut(place)
                && self.scores[column] >= *greatest
            {
                *greatest = f32::NEG_INFINITY;
            }
        }
        let (_, &mut lowest, _) = self.maxima.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        self.shortlist.raise_bar(lowest);
    }

    /// Put the scores of a chunk that survived on the list if they are candidates; the floor after that.
    fn offer(&mut self, first: usize, chunk: &[f32; CHUNK], mut survivors: u64) -> Result<f32, usize> {
        while survivors != 0 {
            let lane = survivors.trailing_zeros() as usize;
            survivors &= survivors - 1;
            let (score, column) = (chunk[lane], first + lane);
            let item = self.first_item + column as i32;
            let key = key(score, item);
            if key <= self.shortlist.bar && !score.is_nan() {
                continue;
            }
            while let [next, rest @ ..] = self.seen
                && *next < item
            {
                self.seen = rest;
            }
            if self.seen.first() == Some(&item)
                || self.denied.is_some_and(|denied| denied[item as usize] != 0)
            {
                continue;
            }
            if score.is_nan() {
                return Err(column);
            }
            self.shortlist.push(key);
        }
        // For the items of the next chunk, of which there is none if its first is not even an item.
        let next = (self.first_item as usize + first + CHUNK).min(i32::MAX as usize);
        Ok(self.shortlist.floor(next as i32))
    }
}

/// The greatest score in each lane of some chunks; NaN is not looked at.
#[inline(always)]
fn lane_maxima<V: Vector>(chunks: &[[f32; CHUNK]], maxima: &mut [f32]) {
    // Eight vectors are enough to hide the latency of a comparison, and few enough to stay in registers.
    let width = (8 * V::LANES).min(CHUNK);
    for (offset, maxima) in maxima.chunks_exact_mut(width).enumerate() {
        let mut greatest = [V::splat(f32::NEG_INFINITY); 8];
        let greatest = &mut greatest[..width / V::LANES];
        for chunk in chunks {
            let scores = &chunk[offset * width..][..width];
            for (greatest, scores) in greatest.iter_mut().zip(scores.chunks_exact(V::LANES)) {
                *greatest = V::load(scores).greater(*greatest);
            }
        }
        for (greatest, maxima) in greatest.iter().zip(maxima.chunks_exact_mut(V::LANES)) {
            greatest.store(maxima);
        }
    }
}

/// Whether a score is not below the floor: one test for all of them.
#[inline(always)]
fn any_survivor<V: Vector>(chunk: &[f32; CHUNK], floor: V) -> bool {
    let mut any = V::load(chunk).not_below(floor);
    for scores in chunk[V::LANES..].chunks_exact(V::LANES) {
        any = V::either(any, V::load(scores).not_below(floor));
    }
    V::any(any)
}

/// One bit for each score that is not below the floor, the first score's lowest.
#[inline(always)]
fn survivors<V: Vector>(chunk: &[f32; CHUNK], floor: V) -> u64 {
    let mut bits = 0;
    for (number, scores) in chunk.chunks_exact(V::LANES).enumerate() {
        bits |= u64::from(V::bits(V::load(scores).not_below(floor))) << (number * V::LANES);
    }
    bits
}

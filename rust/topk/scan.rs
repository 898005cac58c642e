//! The scan of one user's scores for those that may go on the list: nearly all of the time of a ranking.
//!
//! Most scores are below the list's floor, and vectors find that out as fast as memory gives the scores. What remains
//! costs far more each, and comes mostly while the floor is low. So, if the list is not full yet, a first look at a
//! part of the scores finds a floor that is nearly as high as the last one.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use super::shortlist::{Shortlist, key};
use crate::simd::{PADDING, Vector, Work};

/// Scores compared at once, as many as a word has bits.
const CHUNK: usize = 64;

/// One chunk out of so many belongs to the sample. Spread over the row, it tells of all of it even where the scores
/// rise or fall along the row.
const STEP: usize = 8;

/// Fewer chunks than this per maximum make it no better than any score.
const LEAST_CHUNKS: usize = 4;

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
    /// How many in the sample are denied.
    pub denied_in_sample: usize,
    /// The list.
    pub shortlist: &'a mut Shortlist,
    /// Room for the maxima of the sample.
    pub maxima: &'a mut Vec<f32>,
}

impl Work for Scan<'_> {
    /// Nothing, or the column of a NaN that is not left out.
    type Output = Result<(), usize>;
    const WIDEST: usize = PADDING;

    #[inline(always)]
    fn run<V: Vector>(mut self) -> Result<(), usize> {
        let (chunks, tail) = self.scores.as_chunks();
        if self.shortlist.bar == 0 {
            self.raise_bar::<V>(chunks);
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
    /// Each lane of some chunks gives its maximum. If so many maxima as k and the items left out among the sampled
    /// together reach a score, then at least k candidates do.
    #[inline(always)]
    fn raise_bar<V: Vector>(&mut self, chunks: &[[f32; CHUNK]]) {
        let seen = self.seen.iter().filter(|&&item| in_sample((item - self.first_item) as usize)).count();
        let needed = self.shortlist.k().saturating_add(seen + self.denied_in_sample);
        // Twice as many maxima, so that the lowest one needed is a typical one.
        let parts = needed.saturating_mul(2).div_ceil(CHUNK);
        let length = chunks.len() / STEP / parts;
        if length < LEAST_CHUNKS {
            return;
        }
        self.maxima.clear();
        for part in chunks.chunks_exact(length * STEP).take(parts) {
            let start = self.maxima.len();
            self.maxima.resize(start + CHUNK, f32::NEG_INFINITY);
            lane_maxima::<V>(part, &mut self.maxima[start..]);
        }
        let (_, &mut lowest, _) = self.maxima.select_nth_unstable_by(needed - 1, |a, b| b.total_cmp(a));
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
        // The next chunk's items are all later than this one's.
        Ok(self.shortlist.floor(self.first_item + (first + CHUNK - 1) as i32))
    }
}

/// Whether this column of a row belongs to the sample.
fn in_sample(column: usize) -> bool {
    (column / CHUNK).is_multiple_of(STEP)
}

/// How many of a row's columns that belong to the sample are denied.
pub fn denied_in_sample(denied: &[u8]) -> usize {
    denied.chunks(CHUNK).step_by(STEP).flatten().filter(|&&denied| denied != 0).count()
}

/// The greatest score in each lane of the sampled chunks; NaN is not looked at.
#[inline(always)]
fn lane_maxima<V: Vector>(chunks: &[[f32; CHUNK]], maxima: &mut [f32]) {
    // As many as the least of vectors need.
    let mut greatest = [V::splat(f32::NEG_INFINITY); CHUNK / 4];
    let greatest = &mut greatest[..CHUNK / V::LANES];
    for chunk in chunks.iter().step_by(STEP) {
        for (greatest, scores) in greatest.iter_mut().zip(chunk.chunks_exact(V::LANES)) {
            *greatest = V::load(scores).greater(*greatest);
        }
    }
    for (greatest, maxima) in greatest.iter().zip(maxima.chunks_exact_mut(V::LANES)) {
        greatest.store(maxima);
    }
}

/// Whether a score is not below the floor: one test for all of them.
#[inline(always)]
fn any_survivor<V: Vector>(chunk: &[f32; CHUNK], floor: V) -> bool {
    let mut any = V::load(chunk).not_below(floor);
    for scores in chunk[V::LANES..].chunks_exact(V::LANES) {
        any = V::either(any, V::load(scores).not_below(floor));
    }
    V::bits(any) != 0
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

//! The best k of a stream of candidates.

/// A candidate as one integer whose order is the ranking's: the greater, the better.
///
/// The upper half orders as the score does, the lower falls as the item rises. No candidate has key 0.
#[inline]
pub fn key(score: f32, item: i32) -> u64 {
    // Adding 0.0 turns -0.0 into 0.0, with which it must tie.
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(ordered) << 32 | u64::from(!item as u32)
}

pub fn unpack(key: u64) -> (f32, i32) {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
    (f32::from_bits(bits), !(key as u32) as i32)
}

/// Candidates among which the best k are.
///
/// They gather unsorted; each time the buffer is full the best k are selected and the rest dropped, so a candidate
/// costs constant time on average whatever k is and however the scores are arranged.
pub struct Shortlist {
    k: usize,
    capacity: usize,
    keys: Vec<u64>,
    /// Key that a candidate must exceed: the k-th best one's at the last selection, or what [`Self::raise_bar`] made
    /// it; 0 before either.
    pub bar: u64,
    changed: bool,
}

impl Shortlist {
    pub fn new(k: usize) -> Self {
        Self { k, capacity: k.saturating_add(k.max(32)), keys: Vec::new(), bar: 0, changed: false }
    }

    /// How many candidates the list is to have.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Start from a running list; nothing if it is not one.
    pub fn load(&mut self, items: &[i32], values: &[f32]) -> Option<()> {
        self.keys.clear();
        self.changed = false;
        let filled = items.iter().take_while(|&&item| item >= 0).count();
        let (filled_values, empty_values) = values.split_at(filled);
        if filled_values.iter().any(|value| value.is_nan() || *value == f32::NEG_INFINITY)
            || items[filled..].iter().any(|&item| item != -1)
            || empty_values.iter().any(|&value| value != f32::NEG_INFINITY)
        {
            return None;
        }
        self.keys.extend(filled_values.iter().zip(items).map(|(&value, &item)| key(value, item)));
        self.bar = if filled == self.k { self.keys[filled - 1] } else { 0 };
        self.keys.is_sorted_by(|a, b| a > b).then_some(())
    }

    /// Score below which a candidate from `item` on is not needed.
    pub fn floor(&self, item: i32) -> f32 {
        if self.bar == 0 {
            return f32::MIN;
        }
        let (score, last) = unpack(self.bar);
        // A later item loses a tie, so it must score more.
        if last < item { score.next_up() } else { score }
    }

    /// Ask for no less than this score from now on, because at least k candidates have it or more.
    pub fn raise_bar(&mut self, score: f32) {
        // Candidates never score -inf, so a bar there would let in what is none.
        if score > f32::NEG_INFINITY {
            // No item is as late as this one, so that every candidate with the score itself exceeds the bar.
            self.bar = self.bar.max(key(score, i32::MAX));
        }
    }

    /// Add a candidate, which may raise the bar.
    #[inline]
    pub fn push(&mut self, key: u64) {
        self.keys.push(key);
        self.changed = true;
        if self.keys.len() == self.capacity {
            self.select();
        }
    }

    fn select(&mut self) {
        let (_, last, _) = self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
        self.bar = *last;
        self.keys.truncate(self.k);
    }

    /// Write the best k back as a running list.
    pub fn store(&mut self, items: &mut [i32], values: &mut [f32]) {
        if !self.changed {
            return;
        }
        if self.keys.len() > self.k {
            self.select();
        }
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        for (key, (item, value)) in self.keys.iter().zip(items.iter_mut().zip(values)) {
            (*value, *item) = unpack(*key);
        }
    }
}

//! Histories in the order of time, cut somewhere: what came before the cut, weighted by age, and what came after.
//!
//! They are the inputs and targets of the forecasting objective. A user has as many pairs of them as there are places
//! to cut, so they are made batch by batch and never all at once.

use rayon::prelude::*;

use crate::csr::Indptr;
use crate::error::{Error, Result};
use crate::random::Random;

/// Stands where a history is shorter than the length that was asked for.
pub const NO_ITEM: i64 = -1;

/// A weight below this is left out: together with all older ones it is a small part of the newest one's.
const NEGLIGIBLE: f64 = 1e-4;

/// How much of a history a view of it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// `exp(-age / tau)`, the age being the number of newer interactions.
    Interactions(f64),
    /// `exp(-age / tau)`, the age being the time from the interaction to the newest one.
    Seconds(f64),
    /// `1 / sqrt(n)` for each of n interactions: a history of unit length.
    Even,
}

impl Scale {
    /// The scale of a name and a length, which `"even"` does not need.
    ///
    /// # Errors
    /// [`Error::Setting`] for an unknown name, or a length that is not positive and finite.
    pub fn new(kind: &str, tau: f64) -> Result<Self> {
        let checked = |scale: fn(f64) -> Self| {
            if tau.is_finite() && tau > 0.0 {
                Ok(scale(tau))
            } else {
                let expected = "a positive finite number";
                Err(Error::Setting { argument: "scales", got: tau.to_string(), expected })
            }
        };
        match kind {
            "interactions" => checked(Self::Interactions),
            "seconds" => checked(Self::Seconds),
            "even" => Ok(Self::Even),
            _ => Err(Error::Setting {
                argument: "scales",
                got: format!("{kind:?}"),
                expected: "\"interactions\", \"seconds\" or \"even\"",
            }),
        }
    }

    fn weight(self, newer: usize, passed: f64, length: usize) -> f64 {
        match self {
            Self::Interactions(tau) => (-(newer as f64) / tau).exp(),
            Self::Seconds(tau) => (-passed / tau).exp(),
            Self::Even => (length as f64).sqrt().recip(),
        }
    }
}

/// Users' items, oldest first, and when they were taken where that is known.
#[derive(Debug, Clone, Copy)]
pub struct Timeline<'a> {
    indptr: Indptr<'a>,
    items: &'a [i32],
    times: Option<&'a [f64]>,
}

/// Sparse rows, or ragged lists where there is no `data`.
#[derive(Debug, Default, PartialEq)]
pub struct Ragged {
    /// Where each row starts.
    pub indptr: Vec<i64>,
    /// Columns, or items.
    pub indices: Vec<i32>,
    /// Values.
    pub data: Vec<f32>,
}

impl Ragged {
    fn with_offsets(lengths: impl Iterator<Item = usize>) -> Self {
        let ends = lengths.scan(0, |end, length| {
            *end += length as i64;
            Some(*end)
        });
        Self { indptr: std::iter::once(0).chain(ends).collect(), ..Self::default() }
    }
}

/// One cut for each of `rows`: so many of its interactions come before it. Drawn uniformly among the cuts that leave
/// something on both sides; a history of one interaction or none is not cut.
///
/// Draw i depends on `seed`, `step` and i alone.
///
/// # Errors
/// [`Error::Length`] if `indptr` is empty, [`Error::Index`] or [`Error::IndptrRow`] for a row that does not exist or has
/// no range.
pub fn draw_cuts(indptr: &[i64], rows: &[i64], seed: u64, step: u64) -> Result<Vec<i64>> {
    let stored = indptr.last().map_or(0, |&end| usize::try_from(end).unwrap_or(0));
    let indptr = Indptr::new("indptr", indptr, stored)?;
    let draws = Random::new(Random::new(seed).skip(step).next());
    let draw = |position: usize| -> Result<i64> {
        let length = indptr.range(indptr.row(rows, position)?)?.len();
        let inner = length.saturating_sub(1);
        let cut = if inner == 0 { length } else { 1 + draws.skip(position as u64).below(inner) };
        Ok(cut as i64)
    };
    (0..rows.len()).map(draw).collect()
}

impl<'a> Timeline<'a> {
    /// View arrays as histories; rows are checked when they are used.
    ///
    /// # Errors
    /// [`Error::Length`] unless there is a time for each item and an offset at all.
    pub fn new(indptr: &'a [i64], items: &'a [i32], times: &'a [f64]) -> Result<Self> {
        if times.len() != items.len() {
            return Err(Error::Length { argument: "times", got: times.len(), expected: items.len() });
        }
        Ok(Self { times: Some(times), ..Self::without_times(indptr, items)? })
    }

    /// View histories of which only the order is known: every interaction is newer than those before it.
    ///
    /// # Errors
    /// [`Error::Length`] unless there is an offset at all.
    pub fn without_times(indptr: &'a [i64], items: &'a [i32]) -> Result<Self> {
        Ok(Self { indptr: Indptr::new("indptr", indptr, items.len())?, items, times: None })
    }

    /// What came before the cut of each row, seen on each of the scales: scale s has the columns from `s * n_items`.
    ///
    /// Within a row and scale the newest comes first.
    ///
    /// # Errors
    /// [`Error::Length`] unless every row has a cut; [`Error::Index`] for a row, cut or item that does not exist;
    /// [`Error::Setting`] where so many columns have no number; [`Error::Unordered`] where times fall.
    pub fn before(&self, n_items: usize, rows: &[i64], cuts: &[i64], scales: &[Scale]) -> Result<Ragged> {
        if n_items.checked_mul(scales.len()).is_none_or(|columns| i32::try_from(columns).is_err()) {
            let expected = "so few that items times scales is below 2^31";
            return Err(Error::Setting { argument: "n_items", got: n_items.to_string(), expected });
        }
        let weighed = (0..rows.len())
            .into_par_iter()
            .with_min_len(16)
            .map(|position| self.weigh(n_items, self.prefix(rows, cuts, position)?, scales))
            .collect::<Result<Vec<_>>>()?;
        let mut out = Ragged::with_offsets(weighed.iter().map(Vec::len));
        out.indices = weighed.iter().flatten().map(|&(column, _)| column).collect();
        out.data = weighed.iter().flatten().map(|&(_, weight)| weight).collect();
        Ok(out)
    }

    /// The first `horizon` items after the cut of each row, the next one first.
    ///
    /// # Errors
    /// As [`before`](Self::before).
    pub fn after(&self, n_items: usize, rows: &[i64], cuts: &[i64], horizon: usize) -> Result<Ragged> {
        let found = (0..rows.len())
            .map(|position| {
                let prefix = self.prefix(rows, cuts, position)?;
                let row = self.indptr.range(rows[position] as usize)?;
                let future = prefix.end..row.end.min(prefix.end.saturating_add(horizon));
                self.checked_items(n_items, future)
            })
            .collect::<Result<Vec<_>>>()?;
        let mut out = Ragged::with_offsets(found.iter().map(|items| items.len()));
        out.indices = found.concat();
        Ok(out)
    }

    /// The last `length` items before the cut of each row, newest last, with [`NO_ITEM`] before the first.
    ///
    /// # Errors
    /// As [`before`](Self::before).
    pub fn last(&self, n_items: usize, rows: &[i64], cuts: &[i64], length: usize) -> Result<Vec<i64>> {
        let mut out = vec![NO_ITEM; rows.len() * length];
        for position in 0..rows.len() {
            let prefix = self.prefix(rows, cuts, position)?;
            let kept = prefix.start.max(prefix.end.saturating_sub(length))..prefix.end;
            let items = self.checked_items(n_items, kept)?;
            let end = (position + 1) * length;
            for (slot, &item) in out[end - items.len()..end].iter_mut().zip(items) {
                *slot = i64::from(item);
            }
        }
        Ok(out)
    }

    /// Where the interactions before the cut of a row stand.
    fn prefix(&self, rows: &[i64], cuts: &[i64], position: usize) -> Result<std::ops::Range<usize>> {
        if cuts.len() != rows.len() {
            return Err(Error::Length { argument: "cuts", got: cuts.len(), expected: rows.len() });
        }
        let row = self.indptr.range(self.indptr.row(rows, position)?)?;
        match usize::try_from(cuts[position]) {
            Ok(cut) if cut <= row.len() => Ok(row.start..row.start + cut),
            _ => {
                let (value, high) = (cuts[position], row.len() as i64 + 1);
                Err(Error::Index { argument: "cuts", position, value, low: 0, high })
            }
        }
    }

    fn checked_items(&self, n_items: usize, range: std::ops::Range<usize>) -> Result<&'a [i32]> {
        let (items, high) = (&self.items[range.clone()], n_items as i64);
        match items.iter().position(|&item| !(0..high).contains(&i64::from(item))) {
            None => Ok(items),
            Some(place) => {
                let value = i64::from(items[place]);
                Err(Error::Index { argument: "items", position: range.start + place, value, low: 0, high })
            }
        }
    }

    fn weigh(
        &self,
        n_items: usize,
        prefix: std::ops::Range<usize>,
        scales: &[Scale],
    ) -> Result<Vec<(i32, f32)>> {
        let items = self.checked_items(n_items, prefix.clone())?;
        let times = self.times.map(|times| &times[prefix.clone()]);
        let fall = |pair: &[f64]| pair[0] > pair[1] || pair[1].is_nan();
        if let Some(place) = times.and_then(|times| times.windows(2).position(fall)) {
            return Err(Error::Unordered { argument: "times", position: prefix.start + place + 1 });
        }
        let last = items.len().saturating_sub(1);
        let mut out = Vec::with_capacity(items.len() * scales.len());
        for (number, &scale) in scales.iter().enumerate() {
            for place in (0..items.len()).rev() {
                let newer = last - place;
                let passed = times.map_or(newer as f64, |times| times[last] - times[place]);
                let weight = scale.weight(newer, passed, items.len());
                // Weights fall with age: all that follow are negligible, too.
                if weight < NEGLIGIBLE {
                    break;
                }
                // Below 2^31: `before` has seen to it.
                out.push(((number * n_items) as i32 + items[place], weight as f32));
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INDPTR: [i64; 4] = [0, 4, 4, 5];
    const ITEMS: [i32; 5] = [2, 0, 1, 3, 2];
    const TIMES: [f64; 5] = [1.0, 2.0, 2.0, 5.0, 9.0];

    fn timeline() -> Result<Timeline<'static>> {
        Timeline::new(&INDPTR, &ITEMS, &TIMES)
    }

    #[test]
    fn parts_a_history_at_the_cut() -> Result<()> {
        let (rows, cuts) = ([0, 0, 1, 2], [3, 0, 0, 1]);
        let after = timeline()?.after(4, &rows, &cuts, 2)?;
        assert_eq!((after.indptr, after.indices), (vec![0, 1, 3, 3, 3], vec![3, 2, 0]));
        assert_eq!(timeline()?.last(4, &rows, &cuts, 2), Ok(vec![0, 1, -1, -1, -1, -1, -1, 2]));
        Ok(())
    }

    #[test]
    fn sees_the_past_on_each_scale() -> Result<()> {
        let scales = [Scale::Interactions(1.0), Scale::Seconds(2.0), Scale::Even];
        let seen = timeline()?.before(4, &[0], &[4], &scales)?;
        assert_eq!(seen.indices, [3, 1, 0, 2, 7, 5, 4, 6, 11, 9, 8, 10]);
        // Items 0 and 1 came at the same time: by the clock both are as old.
        let e = |x: f64| x.exp() as f32;
        let expected = [1.0, e(-1.0), e(-2.0), e(-3.0), 1.0, e(-1.5), e(-1.5), e(-2.0), 0.5, 0.5, 0.5, 0.5];
        assert_eq!(seen.data, expected);
        Ok(())
    }

    #[test]
    fn leaves_out_what_has_faded() -> Result<()> {
        let seen = timeline()?.before(4, &[0], &[4], &[Scale::Interactions(0.1)])?;
        assert_eq!((seen.indices, seen.data), (vec![3], vec![1.0]));
        Ok(())
    }

    #[test]
    fn a_single_interaction_is_not_cut() -> Result<()> {
        let cuts = draw_cuts(&INDPTR, &[0, 1, 2, 0], 7, 1)?;
        assert_eq!((cuts[1], cuts[2]), (0, 1));
        assert!((1..=3).contains(&cuts[0]));
        Ok(())
    }

    #[test]
    fn every_cut_is_drawn_alike() -> Result<()> {
        let cuts = draw_cuts(&INDPTR, &vec![0; 3000], 0, 0)?;
        for cut in 1..=3 {
            let drawn = cuts.iter().filter(|&&drawn| drawn == cut).count();
            assert!((900..1100).contains(&drawn), "{cut} was drawn {drawn} times");
        }
        assert_ne!(cuts, draw_cuts(&INDPTR, &vec![0; 3000], 0, 1)?);
        Ok(())
    }

    #[test]
    fn refuses_what_does_not_exist() -> Result<()> {
        let scale = [Scale::Even];
        let index =
            |argument, position, value, high| Error::Index { argument, position, value, low: 0, high };
        assert_eq!(timeline()?.before(4, &[3], &[1], &scale), Err(index("rows", 0, 3, 3)));
        assert_eq!(timeline()?.before(4, &[0], &[5], &scale), Err(index("cuts", 0, 5, 5)));
        assert_eq!(timeline()?.after(3, &[0], &[2], 9), Err(index("items", 3, 3, 3)));
        assert_eq!(timeline()?.last(4, &[0], &[-1], 9), Err(index("cuts", 0, -1, 5)));
        let length = Error::Length { argument: "cuts", got: 0, expected: 1 };
        assert_eq!(timeline()?.before(4, &[0], &[], &scale), Err(length));
        let backwards = [1.0, 2.0, 1.0, 5.0, 9.0];
        let unordered = Timeline::new(&INDPTR, &ITEMS, &backwards)?.before(4, &[0], &[4], &scale);
        assert_eq!(unordered, Err(Error::Unordered { argument: "times", position: 2 }));
        assert!(timeline()?.before(1 << 30, &[0], &[4], &[Scale::Even; 2]).is_err());
        assert!(Timeline::new(&INDPTR, &ITEMS, &TIMES[1..]).is_err());
        for (kind, tau) in [("interactions", 0.0), ("seconds", f64::INFINITY), ("minutes", 1.0)] {
            assert!(Scale::new(kind, tau).is_err());
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn nothing_is_lost_at_a_cut(items in prop::collection::vec(0..50_i32, 1..30), seed: u64) {
            let times: Vec<f64> = (0..items.len()).map(|time| time as f64).collect();
            let indptr = [0, items.len() as i64];
            let timeline = Timeline::new(&indptr, &items, &times)?;
            let cuts = draw_cuts(&indptr, &[0], seed, 0)?;
            let mut whole = timeline.before(50, &[0], &cuts, &[Scale::Even])?.indices;
            whole.reverse();
            whole.extend(timeline.after(50, &[0], &cuts, usize::MAX)?.indices);
            prop_assert_eq!(whole, items);
        }
    }
}

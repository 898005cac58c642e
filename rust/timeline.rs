//! Histories in the order of time, cut somewhere: what came before the cut, weighted by age, and what came after.
//!
//! They are the inputs and targets of the forecasting objective. A user has as many pairs of them as there are places
//! to cut, so they are made batch by batch and never all at once.
//!
//! Events of a user at one time are a basket, which has no inner order: cuts lie between baskets, all of a basket is as
//! old, and what follows a cut is taken by whole baskets.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use rayon::prelude::*;

use crate::csr::{Indptr, Ragged, offsets, within};
use crate::error::{Error, Result, expect_length};
use crate::random::Random;

/// A weight below this is left out: together with all older ones it is a small part of the newest one's.
const NEGLIGIBLE: f64 = 1e-4;

/// How much of a history a view of it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// `exp(-age / tau)`, the age being the number of newer baskets.
    Interactions(f64),
    /// `exp(-age / tau)`, the age being the time from the event to the newest one.
    Seconds(f64),
    /// `1 / sqrt(n)` for each of n events: without repeats, a history of unit length.
    Even,
    /// 1 for an item that was ever taken.
    Had,
    /// `ln(1 + n)` for an item in n baskets: how often it was taken.
    Often,
    /// `1 / (1 + age)` of the newest basket with an item, the age being the number of newer baskets: how long ago.
    Ago,
    /// `r / (1 + r)`, r being the time since an item was last taken as a multiple of its mean time between baskets: 1/2
    /// where it is due, 0 where it was in one basket only.
    Due,
    /// `r / (1 + r)`, r being the time since an item was last taken as a multiple of what is usual for the item.
    Usual,
}

/// Times of the events, and what ages by them are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Clock<'a> {
    /// Time of each event.
    pub times: &'a [f64],
    /// The moment that ages are counted from; None for the newest event before a cut.
    pub now: Option<f64>,
    /// The usual time between two baskets of a user with each item; empty where no scale compares with it.
    pub intervals: &'a [f64],
}

/// When an item of a history was taken.
#[derive(Debug, Clone, Copy)]
struct Takings {
    baskets: u32,
    /// Number of the newest basket with it.
    newest: i32,
    /// Number of the basket with it that was counted last.
    counted: i32,
    last: f64,
    first: f64,
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
            "had" => Ok(Self::Had),
            "often" => Ok(Self::Often),
            "ago" => Ok(Self::Ago),
            "due" => Ok(Self::Due),
            "usual" => Ok(Self::Usual),
            _ => Err(Error::Setting {
                argument: "scales",
                got: format!("{kind:?}"),
                expected: "\"interactions\", \"seconds\", \"even\", \"had\", \"often\", \"ago\", \"due\" or \"usual\"",
            }),
        }
    }

    /// The weight of one event, whose sum over an item's events the view shows; None where it is of the item as a whole.
    fn of_event(self, newer: i32, passed: f64, length: usize) -> Option<f64> {
        match self {
            Self::Interactions(tau) => Some((-f64::from(newer) / tau).exp()),
            Self::Seconds(tau) => Some((-passed / tau).exp()),
            Self::Even => Some((length as f64).sqrt().recip()),
            Self::Had | Self::Often | Self::Ago | Self::Due | Self::Usual => None,
        }
    }

    /// The weight of an item that was taken so, seen from a basket and a moment; of a view of events it is 0.
    fn of_item(self, item: i32, taken: &Takings, basket: i32, moment: f64, intervals: &[f64]) -> f64 {
        let compared = |usual: f64| {
            let since = moment - taken.last;
            since / (since + usual)
        };
        match self {
            Self::Had => 1.0,
            Self::Often => f64::from(taken.baskets).ln_1p(),
            Self::Ago => f64::from(1 + basket - taken.newest).recip(),
            Self::Due if taken.baskets > 1 => {
                compared((taken.last - taken.first) / f64::from(taken.baskets - 1))
            }
            // Items have been checked against the number of intervals.
            Self::Usual => compared(intervals[item as usize]),
            Self::Due | Self::Interactions(_) | Self::Seconds(_) | Self::Even => 0.0,
        }
    }

    fn is_of_items(self) -> bool {
        matches!(self, Self::Had | Self::Often | Self::Ago | Self::Due | Self::Usual)
    }
}

/// Users' items, oldest first, and the baskets they were taken in.
#[derive(Debug, Clone, Copy)]
pub struct Timeline<'a> {
    indptr: Indptr<'a>,
    items: &'a [i32],
    baskets: &'a [i32],
    repeats: bool,
}

impl<'a> Timeline<'a> {
    /// View arrays as histories; rows are checked when they are used. `baskets` numbers each user's baskets from 0.
    ///
    /// # Errors
    /// [`Error::Length`] unless there is a basket for each item and an offset at all.
    pub fn new(indptr: &'a [i64], items: &'a [i32], baskets: &'a [i32]) -> Result<Self> {
        expect_length("baskets", baskets.len(), items.len())?;
        Ok(Self { indptr: Indptr::new("indptr", indptr, items.len())?, items, baskets, repeats: false })
    }

    /// The same histories, in which an item may stand more than once.
    #[must_use]
    pub fn with_repeats(self, repeats: bool) -> Self {
        Self { repeats, ..self }
    }

    /// What came before the cut of each row, seen on each of the scales: scale s has the columns from `s * n_items`.
    ///
    /// Within a row and scale the newest comes first; the weights of a repeated item are summed.
    ///
    /// # Errors
    /// [`Error::Length`] unless every row has a cut, every event a time and, for [`Scale::Usual`], every item an
    /// interval; [`Error::Index`] for a row, cut, basket or item that does not exist; [`Error::Setting`] for a cut inside
    /// a basket, for an interval that is not positive and finite, for a moment that is not finite or before an event, or
    /// where so many columns have no number; [`Error::NotFinite`] and [`Error::Unordered`] for times that are not finite,
    /// or fall. Of several rows the first is named.
    pub fn before(
        &self,
        clock: Clock<'_>,
        n_items: usize,
        rows: &[i64],
        cuts: &[i64],
        scales: &[Scale],
    ) -> Result<Ragged> {
        expect_length("times", clock.times.len(), self.items.len())?;
        if scales.contains(&Scale::Usual) {
            expect_length("intervals", clock.intervals.len(), n_items)?;
            if let Some(wrong) = clock.intervals.iter().find(|&&one| !(one.is_finite() && one > 0.0)) {
                return Err(Error::setting("intervals", &wrong, "positive finite numbers"));
            }
        }
        if n_items.checked_mul(scales.len()).is_none_or(|columns| i32::try_from(columns).is_err()) {
            return Err(Error::setting("n_items", &n_items, "so few that items times scales is below 2^31"));
        }
        expect_length("cuts", cuts.len(), rows.len())?;
        let weigh = |position| self.weigh(clock, n_items, self.prefix(rows, cuts, position)?, scales);
        let weighed = each(rows.len(), weigh)?;
        Ok(Ragged {
            indptr: offsets(weighed.iter().map(Vec::len)),
            indices: weighed.iter().flatten().map(|&(column, _)| column).collect(),
            data: weighed.iter().flatten().map(|&(_, weight)| weight).collect(),
        })
    }

    /// The items of whole baskets after the cut of each row, the next one first, until there are `horizon` of them.
    ///
    /// An item counts once, and with `fresh` only where it did not come before the cut.
    ///
    /// # Errors
    /// As [`before`](Self::before).
    pub fn after(
        &self,
        n_items: usize,
        rows: &[i64],
        cuts: &[i64],
        horizon: usize,
        fresh: bool,
    ) -> Result<Ragged> {
        expect_length("cuts", cuts.len(), rows.len())?;
        let found = each(rows.len(), |position| {
            let prefix = self.prefix(rows, cuts, position)?;
            let end = self.indptr.range(rows[position] as usize)?.end;
            let future = self.checked_items(n_items, prefix.end..end)?;
            let past = if fresh && self.repeats { &self.items[prefix.clone()] } else { &[] };
            Ok(self.taken(past, future, &self.baskets[prefix.end..end], horizon))
        })?;
        let indptr = offsets(found.iter().map(Vec::len));
        Ok(Ragged { indptr, indices: found.concat(), data: Vec::new() })
    }

    fn taken(&self, past: &[i32], future: &[i32], baskets: &[i32], horizon: usize) -> Vec<i32> {
        let mut known: HashSet<i32> = past.iter().copied().collect();
        let mut items = Vec::new();
        for (place, &item) in future.iter().enumerate() {
            let starts_basket = place == 0 || baskets[place] != baskets[place - 1];
            if starts_basket && items.len() >= horizon {
                break;
            }
            if !self.repeats || known.insert(item) {
                items.push(item);
            }
        }
        items
    }

    /// Where the events before the cut of a row stand.
    fn prefix(&self, rows: &[i64], cuts: &[i64], position: usize) -> Result<Range<usize>> {
        let row = self.indptr.range(self.indptr.row(rows, position)?)?;
        let baskets = numbered(self.baskets, row.clone())?;
        match usize::try_from(cuts[position]) {
            Ok(cut)
                if cut == 0 || cut == row.len() || cut < row.len() && baskets[cut - 1] != baskets[cut] =>
            {
                Ok(row.start..row.start + cut)
            }
            Ok(cut) if cut < row.len() => Err(Error::setting("cuts", &cut, "a place between two baskets")),
            _ => {
                let (value, high) = (cuts[position], row.len() as i64 + 1);
                Err(Error::Index { argument: "cuts", position, value, low: 0, high })
            }
        }
    }

    fn checked_items(&self, n_items: usize, range: Range<usize>) -> Result<&'a [i32]> {
        within("items", &self.items[range.clone()], range.start, 0, n_items)
    }

    fn weigh(
        &self,
        clock: Clock<'_>,
        n_items: usize,
        prefix: Range<usize>,
        scales: &[Scale],
    ) -> Result<Vec<(i32, f32)>> {
        let items = self.checked_items(n_items, prefix.clone())?;
        let (baskets, times) = (&self.baskets[prefix.clone()], &clock.times[prefix.clone()]);
        for (place, &time) in times.iter().enumerate() {
            let position = prefix.start + place;
            if !time.is_finite() {
                return Err(Error::NotFinite { argument: "times", position, value: time });
            }
            if place > 0 && times[place - 1] > time {
                return Err(Error::Unordered { argument: "times", position });
            }
        }
        let (Some(&basket), Some(&newest)) = (baskets.last(), times.last()) else {
            return Ok(Vec::new());
        };
        let moment = clock.now.unwrap_or(newest);
        if !(moment.is_finite() && moment >= newest) {
            return Err(Error::setting("now", &moment, "a finite time that is not before an event"));
        }
        let mut out: Vec<(i32, f64)> = Vec::new();
        let takings = if scales.iter().any(|scale| scale.is_of_items()) {
            takings(items, baskets, times)
        } else {
            Vec::new()
        };
        // Where the columns of this row stand in `out`, which only repeats have to look up.
        let mut places: HashMap<i32, usize> = HashMap::new();
        for (number, &scale) in scales.iter().enumerate() {
            // Below 2^31: `before` has seen to it.
            let first = (number * n_items) as i32;
            if scale.is_of_items() {
                let weighed = takings.iter().map(|&(item, ref taken)| {
                    (first + item, scale.of_item(item, taken, basket, moment, clock.intervals))
                });
                out.extend(weighed.filter(|&(_, weight)| weight >= NEGLIGIBLE));
                continue;
            }
            for place in (0..items.len()).rev() {
                let weight = scale.of_event(basket - baskets[place], moment - times[place], items.len());
                // Weights fall with age: all that follow are negligible, too.
                let Some(weight) = weight.filter(|&weight| weight >= NEGLIGIBLE) else { break };
                let column = first + items[place];
                if self.repeats {
                    let earlier = *places.entry(column).or_insert(out.len());
                    if earlier < out.len() {
                        out[earlier].1 += weight;
                        continue;
                    }
                }
                out.push((column, weight));
            }
        }
        // Kept until all rows are there, so at its exact length.
        Ok(out.iter().map(|&(column, weight)| (column, weight as f32)).collect())
    }
}

/// What becomes of each position, or what is wrong with the first of those where something is.
fn each<T: Send>(positions: usize, find: impl Fn(usize) -> Result<T> + Send + Sync) -> Result<Vec<T>> {
    // Collected with the errors: straight into a result, whichever thread meets one first would name it.
    let found: Vec<Result<T>> = (0..positions).into_par_iter().with_min_len(16).map(find).collect();
    found.into_iter().collect()
}

/// When each item of a history was taken, the one that was taken last first.
fn takings(items: &[i32], baskets: &[i32], times: &[f64]) -> Vec<(i32, Takings)> {
    let mut out: Vec<(i32, Takings)> = Vec::new();
    let mut places: HashMap<i32, usize> = HashMap::with_capacity(items.len());
    for ((&item, &basket), &time) in items.iter().zip(baskets).zip(times).rev() {
        let place = *places.entry(item).or_insert(out.len());
        if let Some((_, taken)) = out.get_mut(place) {
            taken.baskets += u32::from(basket != taken.counted);
            taken.counted = basket;
            taken.first = time;
        } else {
            let taken = Takings { baskets: 1, newest: basket, counted: basket, last: time, first: time };
            out.push((item, taken));
        }
    }
    out
}

/// One cut for each of `rows`: so many of its events come before it. `baskets` numbers each user's baskets from 0.
///
/// A history has min(`most`, m) cuts where it has m places between two baskets, and `places` says which of these each
/// row asks for: they lie as far apart as places allow, from a beginning that is drawn for the user (systematic sampling,
/// Madow & Madow, Annals of Mathematical Statistics 1944). So no two of them are the same, all m are there where `most`
/// is enough, and every place is as likely as another. A history of one basket or none is not cut.
///
/// Cuts depend on `seed`, `step`, user and place alone.
///
/// # Errors
/// [`Error::Length`] if `indptr` is empty or not every row has a place, [`Error::Index`] or [`Error::IndptrRow`] for a row
/// that does not exist or has no range, for a place that the row does not have, or a basket out of its turn.
pub fn draw_cuts(
    indptr: &[i64],
    baskets: &[i32],
    rows: &[i64],
    places: &[i64],
    most: usize,
    seed: u64,
    step: u64,
) -> Result<Vec<i64>> {
    let indptr = Indptr::new("indptr", indptr, baskets.len())?;
    expect_length("places", places.len(), rows.len())?;
    let draws = Random::new(Random::new(seed).skip(step).next());
    let draw = |position: usize| -> Result<i64> {
        let row = indptr.row(rows, position)?;
        let own = numbered(baskets, indptr.range(row)?)?;
        let inner = own.last().map_or(0, |&last| last as usize);
        let (value, cuts) = (places[position], inner.min(most));
        let place = usize::try_from(value).ok().filter(|&place| place < cuts.max(1)).ok_or(Error::Index {
            argument: "places",
            position,
            value,
            low: 0,
            high: cuts.max(1) as i64,
        })?;
        if cuts == 0 {
            return Ok(own.len() as i64);
        }
        // Below 2^62: baskets are numbered by 31 bits.
        let next = 1 + (place * inner + draws.skip(row as u64).below(inner)) / cuts;
        Ok(own.partition_point(|&basket| (basket as usize) < next) as i64)
    };
    (0..rows.len()).map(draw).collect()
}

/// The baskets of one user, which must be numbered from 0 in the order of time.
fn numbered(baskets: &[i32], row: Range<usize>) -> Result<&[i32]> {
    let own = &baskets[row.clone()];
    let mut low = 0;
    for (place, &basket) in own.iter().enumerate() {
        let high = if place == 0 { 1 } else { low + 2 };
        if !(low..high).contains(&i64::from(basket)) {
            let (position, value) = (row.start + place, i64::from(basket));
            return Err(Error::Index { argument: "baskets", position, value, low, high });
        }
        low = i64::from(basket);
    }
    Ok(own)
}

#[cfg(test)]
mod tests;

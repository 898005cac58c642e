//! Weights of interactions by their age, as T-DiffRec puts them into a user's vector `x_0`.

use std::str::FromStr;

use crate::csr::Indptr;
use crate::error::{Error, Result};

/// How a weight falls with age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decay {
    /// Evenly from `w_max` at age 0 to `w_min` at the largest possible age (DiffRec, Wang et al., SIGIR 2023, arXiv
    /// 2304.04971, eq. 11).
    Linear,
    /// `w_min + (w_max - w_min) * 2 ^ (-age / half_life)`.
    Exponential,
    /// `w_min + (w_max - w_min) / (1 + age / half_life)`.
    Power,
}

impl FromStr for Decay {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "linear" => Ok(Self::Linear),
            "exponential" => Ok(Self::Exponential),
            "power" => Ok(Self::Power),
            _ => Err(Error::Setting {
                argument: "kind",
                got: format!("{name:?}"),
                expected: "\"linear\", \"exponential\" or \"power\"",
            }),
        }
    }
}

/// What an interaction's weight is as a function of its age.
#[derive(Debug, Clone, Copy)]
pub struct TimeWeight {
    decay: Decay,
    w_min: f64,
    w_max: f64,
    half_life: f64,
    clock: bool,
}

impl TimeWeight {
    /// Weights in `[w_min, w_max]`; `clock` measures age in time, not in baskets. Linear decay has no half-life.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `0 <= w_min <= w_max` are finite and `half_life`, where it counts, is positive and
    /// finite.
    pub fn new(decay: Decay, w_min: f64, w_max: f64, half_life: f64, clock: bool) -> Result<Self> {
        let refuse = |argument, value: f64, expected| {
            Err(Error::Setting { argument, got: value.to_string(), expected })
        };
        if !(w_max.is_finite() && w_max >= 0.0) {
            return refuse("w_max", w_max, "a finite number that is not negative");
        }
        if !(0.0..=w_max).contains(&w_min) {
            return refuse("w_min", w_min, "a number in [0, w_max]");
        }
        if decay != Decay::Linear && !(half_life.is_finite() && half_life > 0.0) {
            return refuse("half_life", half_life, "a positive finite number");
        }
        Ok(Self { decay, w_min, w_max, half_life, clock })
    }

    fn decayed(&self, age: f64) -> f64 {
        let halvings = age / self.half_life;
        let share = match self.decay {
            Decay::Power => (1.0 + halvings).recip(),
            _ => (-halvings).exp2(),
        };
        self.w_min + (self.w_max - self.w_min) * share
    }
}

/// One user's interaction while it is sorted: timestamp and place in storage.
type Stamped = (f64, usize);

/// Users and interactions weighed by one thread before the work is cut in half.
const TASK: usize = 1 << 14;

/// The weight of every interaction, in the order of `timestamps`.
///
/// Within a user's row of `indptr` the age of an interaction is the number of newer baskets (distinct times) or, by the
/// clock, the time from it to the newest; so the order in which a row is stored never matters.
///
/// # Errors
/// [`Error::IndptrStart`], [`Error::IndptrRow`] or [`Error::IndptrEnd`] unless `indptr` shares out all timestamps;
/// [`Error::NotFinite`] for one that is not finite.
pub fn time_weights(indptr: &[i64], timestamps: &[f64], weight: &TimeWeight) -> Result<Vec<f32>> {
    let indptr = Indptr::new("indptr", indptr, timestamps.len())?;
    indptr.check()?;
    let mut out = vec![0.0; timestamps.len()];
    weigh_users(&indptr, 0, indptr.rows(), timestamps, &mut out, weight)?;
    Ok(out)
}

/// Weigh the users `first..last`, whose interactions fill `out`; halves are weighed in parallel.
fn weigh_users(
    indptr: &Indptr<'_>,
    first: usize,
    last: usize,
    timestamps: &[f64],
    out: &mut [f32],
    weight: &TimeWeight,
) -> Result<()> {
    if last - first > 1 && (out.len() > TASK || last - first > TASK) {
        let middle = first + (last - first) / 2;
        let start = indptr.range(first)?.start;
        let split = indptr.range(middle)?.start - start;
        let (left, right) = out.split_at_mut(split);
        let (left, right) = rayon::join(
            || weigh_users(indptr, first, middle, timestamps, left, weight),
            || weigh_users(indptr, middle, last, timestamps, right, weight),
        );
        return left.and(right);
    }
    let mut scratch = Vec::new();
    let mut rest = out;
    for user in first..last {
        let range = indptr.range(user)?;
        let (row, after) = std::mem::take(&mut rest).split_at_mut(range.len());
        rest = after;
        let stamps = &timestamps[range.clone()];
        if let Some(place) = stamps.iter().position(|stamp| !stamp.is_finite()) {
            let (argument, position, value) = ("timestamps", range.start + place, stamps[place]);
            return Err(Error::NotFinite { argument, position, value });
        }
        weigh_row(stamps, row, weight, &mut scratch);
    }
    Ok(())
}

fn weigh_row(stamps: &[f64], out: &mut [f32], weight: &TimeWeight, scratch: &mut Vec<Stamped>) {
    if weight.decay == Decay::Linear && stamps.len() == 1 {
        out[0] = weight.w_min as f32;
    } else if weight.clock {
        by_clock(stamps, out, weight);
    } else {
        by_rank(stamps, out, weight, scratch);
    }
}

fn by_clock(stamps: &[f64], out: &mut [f32], weight: &TimeWeight) {
    let newest = stamps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let oldest = stamps.iter().copied().fold(f64::INFINITY, f64::min);
    // Halves, because the span of two finite numbers need not be finite.
    let half_span = newest / 2.0 - oldest / 2.0;
    let at = |stamp: f64| match weight.decay {
        Decay::Linear if half_span > 0.0 => {
            let youth = (stamp / 2.0 - oldest / 2.0) / half_span;
            weight.w_min + (weight.w_max - weight.w_min) * youth
        }
        Decay::Linear => weight.w_max,
        Decay::Exponential | Decay::Power => weight.decayed(newest - stamp),
    };
    for (out, &stamp) in out.iter_mut().zip(stamps) {
        *out = at(stamp) as f32;
    }
}

fn by_rank(stamps: &[f64], out: &mut [f32], weight: &TimeWeight, scratch: &mut Vec<Stamped>) {
    scratch.clear();
    scratch.extend(stamps.iter().copied().zip(0..));
    if !stamps.is_sorted() {
        scratch.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    }
    let oldest = scratch.windows(2).filter(|pair| pair[0].0 < pair[1].0).count();
    let step = (weight.w_max - weight.w_min) / oldest as f64;
    let at = |age: usize| match weight.decay {
        // The largest weight is not left to rounding.
        Decay::Linear if age == 0 => weight.w_max as f32,
        Decay::Linear => (weight.w_min + step * (oldest - age) as f64) as f32,
        Decay::Exponential | Decay::Power => weight.decayed(age as f64) as f32,
    };
    let (mut age, mut current) = (0, at(0));
    let mut newer = scratch.last().map(|last| last.0);
    for &(stamp, place) in scratch.iter().rev() {
        if newer != Some(stamp) {
            age += 1;
            current = at(age);
            newer = Some(stamp);
        }
        out[place] = current;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    fn weigh(stamps: &[f64], decay: Decay, half_life: f64, clock: bool) -> Result<Vec<f32>> {
        let weight = TimeWeight::new(decay, 0.1, 1.0, half_life, clock)?;
        time_weights(&[0, stamps.len() as i64], stamps, &weight)
    }

    fn close(got: &[f32], expected: &[f64]) -> bool {
        got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-7)
    }

    #[test]
    fn linear_weights_are_evenly_spaced_by_rank() {
        let got = weigh(&[10.0, 500.0, 11.0, 12.0, 7.0], Decay::Linear, 0.0, false).expect("sound");
        assert!(close(&got, &[0.325, 1.0, 0.55, 0.775, 0.1]), "{got:?}");
        assert_eq!(weigh(&[3.0], Decay::Linear, 0.0, false), Ok(vec![0.1]));
        assert_eq!(weigh(&[3.0], Decay::Linear, 0.0, true), Ok(vec![0.1]));
        assert_eq!(weigh(&[3.0, 3.0], Decay::Linear, 0.0, false), Ok(vec![1.0, 1.0]));
        assert_eq!(weigh(&[3.0, 3.0], Decay::Linear, 0.0, true), Ok(vec![1.0, 1.0]));
    }

    #[test]
    fn decay_halves_what_is_above_the_least_weight() {
        let stamps = [100.0, 96.0, 98.0];
        let got = weigh(&stamps, Decay::Exponential, 1.0, false).expect("sound");
        assert!(close(&got, &[1.0, 0.1 + 0.9 / 4.0, 0.1 + 0.9 / 2.0]), "{got:?}");
        let got = weigh(&stamps, Decay::Exponential, 2.0, true).expect("sound");
        assert!(close(&got, &[1.0, 0.1 + 0.9 / 4.0, 0.1 + 0.9 / 2.0]), "{got:?}");
        let got = weigh(&stamps, Decay::Power, 2.0, true).expect("sound");
        assert!(close(&got, &[1.0, 0.1 + 0.9 / 3.0, 0.1 + 0.9 / 2.0]), "{got:?}");
        assert_eq!(weigh(&[5.0], Decay::Power, 2.0, false), Ok(vec![1.0]));
    }

    #[test]
    fn extreme_times_keep_weights_in_their_range() {
        for decay in [Decay::Linear, Decay::Exponential, Decay::Power] {
            let got = weigh(&[f64::MAX, f64::MIN, 0.0], decay, f64::MIN_POSITIVE, true).expect("sound");
            assert!(
                got[0] == 1.0 && got.iter().all(|weight| (0.1..=1.0).contains(weight)),
                "{decay:?} {got:?}"
            );
        }
    }

    #[test]
    fn broken_promises() {
        let value = |stamps: &[f64]| weigh(stamps, Decay::Linear, 0.0, false);
        assert!(matches!(value(&[0.0, f64::NAN]), Err(Error::NotFinite { position: 1, .. })));
        assert!(matches!(value(&[f64::INFINITY]), Err(Error::NotFinite { position: 0, .. })));
        for (w_min, w_max, half_life, wrong) in [
            (-0.1, 1.0, 1.0, "w_min"),
            (0.5, 0.4, 1.0, "w_min"),
            (f64::NAN, 1.0, 1.0, "w_min"),
            (0.0, f64::INFINITY, 1.0, "w_max"),
            (0.0, f64::NAN, 1.0, "w_max"),
            (0.0, 1.0, 0.0, "half_life"),
            (0.0, 1.0, f64::INFINITY, "half_life"),
            (0.0, 1.0, f64::NAN, "half_life"),
        ] {
            let error = TimeWeight::new(Decay::Power, w_min, w_max, half_life, false).map(|_| ());
            assert!(matches!(error, Err(Error::Setting { argument, .. }) if argument == wrong), "{error:?}");
        }
        assert!(TimeWeight::new(Decay::Linear, 0.0, 1.0, f64::NAN, false).is_ok());
        assert!("quadratic".parse::<Decay>().is_err());
        let weight = TimeWeight::new(Decay::Linear, 0.0, 1.0, 0.0, false).expect("sound");
        assert_eq!(time_weights(&[0, 0, 0], &[], &weight), Ok(vec![]));
        assert_eq!(time_weights(&[0], &[], &weight), Ok(vec![]));
        assert!(matches!(time_weights(&[0, 1], &[], &weight), Err(Error::IndptrRow { row: 0, .. })));
        assert!(matches!(time_weights(&[0, 1], &[1.0, 2.0], &weight), Err(Error::IndptrEnd { .. })));
    }

    #[test]
    fn work_cut_in_halves_weighs_every_user() {
        let lengths: Vec<usize> = (0..4000).map(|user| user % 13).collect();
        let mut indptr = vec![0];
        let mut stamps = Vec::new();
        for &n in &lengths {
            stamps.extend((0..n).map(|place| (place * 7 % 13) as f64));
            indptr.push(stamps.len() as i64);
        }
        assert!(stamps.len() > TASK);
        let weight = TimeWeight::new(Decay::Exponential, 0.0, 1.0, 3.0, false).expect("sound");
        let got = time_weights(&indptr, &stamps, &weight).expect("sound");
        for user in 0..lengths.len() {
            let range = indptr[user] as usize..indptr[user + 1] as usize;
            let alone =
                time_weights(&[0, range.len() as i64], &stamps[range.clone()], &weight).expect("sound");
            assert_eq!(got[range], alone);
        }
    }

    proptest! {
        /// Age is the number of distinct newer times, whatever the order of storage.
        #[test]
        fn ages_match_a_count(stamps in prop::collection::vec((-3..4_i8).prop_map(f64::from), 0..12), sorted: bool) {
            let mut stamps = stamps;
            if sorted {
                stamps.sort_by(f64::total_cmp);
            }
            let weight = TimeWeight::new(Decay::Power, 0.0, 1.0, 1.0, false).expect("sound");
            let got = time_weights(&[0, stamps.len() as i64], &stamps, &weight).expect("sound");
            for (stamp, got) in stamps.iter().zip(got) {
                let newer: HashSet<u64> = stamps.iter().filter(|other| *other > stamp).map(|t| t.to_bits()).collect();
                let age = newer.len();
                prop_assert_eq!(got, (1.0 / (1.0 + age as f64)) as f32);
            }
        }
    }
}

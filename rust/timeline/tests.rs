//! Views of histories against plain twins, and what is refused.

use super::*;
use proptest::prelude::*;

const INDPTR: [i64; 4] = [0, 4, 4, 5];
const ITEMS: [i32; 5] = [2, 0, 1, 3, 2];
const TIMES: [f64; 5] = [1.0, 2.0, 2.0, 5.0, 9.0];
const BASKETS: [i32; 5] = [0, 1, 1, 2, 0];

fn clock(times: &[f64]) -> Clock<'_> {
    Clock { times, now: None, intervals: &[] }
}

fn timeline() -> Result<Timeline<'static>> {
    Timeline::new(&INDPTR, &ITEMS, &BASKETS)
}

#[test]
fn parts_a_history_at_the_cut() -> Result<()> {
    let (rows, cuts) = ([0, 0, 1, 2], [3, 0, 0, 1]);
    let after = timeline()?.after(4, &rows, &cuts, 2, false)?;
    // The second basket is taken whole, although one item of it would have been enough.
    assert_eq!((after.indptr, after.indices), (vec![0, 1, 4, 4, 4], vec![3, 2, 0, 1]));
    assert!(timeline()?.after(4, &[0], &[0], 0, false)?.indices.is_empty());
    Ok(())
}

#[test]
fn sees_the_past_on_each_scale() -> Result<()> {
    let scales = [Scale::Interactions(1.0), Scale::Seconds(2.0), Scale::Even];
    let seen = timeline()?.before(clock(&TIMES), 4, &[0], &[4], &scales)?;
    assert_eq!(seen.indices, [3, 1, 0, 2, 7, 5, 4, 6, 11, 9, 8, 10]);
    // Items 0 and 1 came in one basket: both are as old.
    let e = |x: f64| x.exp() as f32;
    let expected = [1.0, e(-1.0), e(-1.0), e(-2.0), 1.0, e(-1.5), e(-1.5), e(-2.0), 0.5, 0.5, 0.5, 0.5];
    assert_eq!(seen.data, expected);
    Ok(())
}

#[test]
fn leaves_out_what_has_faded() -> Result<()> {
    let seen = timeline()?.before(clock(&TIMES), 4, &[0], &[4], &[Scale::Interactions(0.1)])?;
    assert_eq!((seen.indices, seen.data), (vec![3], vec![1.0]));
    Ok(())
}

#[test]
fn repeats_are_summed_before_and_counted_once_after() -> Result<()> {
    let (items, baskets, times) = ([1, 0, 1, 0, 2, 2], [0, 1, 1, 2, 2, 3], [1.0, 2.0, 2.0, 3.0, 3.0, 4.0]);
    let bought = Timeline::new(&[0, 6], &items, &baskets)?.with_repeats(true);
    let seen = bought.before(clock(&times), 3, &[0], &[3], &[Scale::Interactions(1.0), Scale::Even])?;
    let even = 1.0 / 3.0_f64.sqrt();
    assert_eq!(seen.indices, [1, 0, 4, 3]);
    assert_eq!(seen.data, [(1.0 + (-1.0_f64).exp()) as f32, 1.0, (even + even) as f32, even as f32]);
    assert_eq!(bought.after(3, &[0], &[3], 2, false)?.indices, [0, 2]);
    assert_eq!(bought.after(3, &[0], &[3], 9, false)?.indices, [0, 2]);
    assert_eq!(bought.after(3, &[0], &[3], 9, true)?.indices, [2]);
    Ok(())
}

#[test]
fn counts_repeats_item_by_item() -> Result<()> {
    // Item 1 in three baskets at 1, 2 and 4, twice in the last of them; item 0 in one at 2; item 2 in two, at 4 and 9.
    let (items, baskets, times) =
        ([1, 0, 1, 1, 1, 2, 2], [0, 1, 1, 2, 2, 2, 3], [1.0, 2.0, 2.0, 4.0, 4.0, 4.0, 9.0]);
    let bought = Timeline::new(&[0, 7], &items, &baskets)?.with_repeats(true);
    let views = [Scale::Had, Scale::Often, Scale::Ago, Scale::Due];
    let seen = bought.before(clock(&times), 3, &[0], &[7], &views)?;
    // What is not due at all is left out.
    assert_eq!(seen.indices, [2, 1, 0, 5, 4, 3, 8, 7, 6, 10]);
    let ln = |count: f64| count.ln_1p() as f32;
    let due = (5.0 / (5.0 + 1.5)) as f32;
    assert_eq!(seen.data, [1.0, 1.0, 1.0, ln(2.0), ln(3.0), ln(1.0), 1.0, 0.5, 1.0 / 3.0, due]);
    let later = Clock { now: Some(10.0), ..clock(&times) };
    let later = bought.before(later, 3, &[0], &[7], &[Scale::Due, Scale::Seconds(1.0)])?;
    assert_eq!((later.indices, later.data[0]), (vec![2, 1, 5, 4, 3], (1.0 / 6.0) as f32));
    assert_eq!(later.data[2], ((-1.0_f64).exp() + (-6.0_f64).exp()) as f32);
    assert!(bought.before(clock(&times), 3, &[0], &[0], &views)?.indices.is_empty());
    Ok(())
}

#[test]
fn compares_with_what_is_usual_for_an_item() -> Result<()> {
    let clock = Clock { now: Some(10.0), intervals: &[8.0, 4.0, 1.0, 5.0], ..clock(&TIMES) };
    let seen = timeline()?.before(clock, 4, &[0], &[4], &[Scale::Usual])?;
    assert_eq!(seen.indices, [3, 1, 0, 2]);
    assert_eq!(seen.data, [0.5, 8.0 / 12.0, 0.5, 0.9]);
    for (intervals, got) in [(&[1.0; 3][..], 3), (&[], 0)] {
        let wrong = timeline()?.before(Clock { intervals, ..clock }, 4, &[0], &[4], &[Scale::Usual]);
        assert_eq!(wrong, Err(Error::Length { argument: "intervals", got, expected: 4 }));
    }
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let intervals = &[1.0, 1.0, wrong, 1.0];
        assert!(timeline()?.before(Clock { intervals, ..clock }, 4, &[0], &[4], &[Scale::Usual]).is_err());
    }
    Ok(())
}

/// The cuts of one user's `baskets`, all of those there are.
fn all_cuts(baskets: &[i32], most: usize, seed: u64, step: u64) -> Result<Vec<i64>> {
    let cuts = baskets.last().map_or(0, |&last| most.min(last as usize));
    let places: Vec<i64> = (0..cuts as i64).collect();
    draw_cuts(&[0, baskets.len() as i64], baskets, &vec![0; cuts], &places, most, seed, step)
}

#[test]
fn a_single_basket_is_not_cut() -> Result<()> {
    let cuts = draw_cuts(&INDPTR, &BASKETS, &[0, 1, 2, 0], &[0; 4], 1, 7, 1)?;
    assert_eq!((cuts[1], cuts[2]), (0, 1));
    assert!([1, 3].contains(&cuts[0]));
    assert_eq!(cuts[0], cuts[3]);
    assert_eq!(draw_cuts(&[0, 3], &[0, 0, 0], &[0], &[0], 5, 7, 1), Ok(vec![3]));
    assert_eq!(draw_cuts(&INDPTR, &BASKETS, &[0], &[0], 0, 7, 1), Ok(vec![4]));
    Ok(())
}

#[test]
fn few_places_are_all_cut_and_of_many_each_is_as_likely() -> Result<()> {
    assert_eq!(all_cuts(&BASKETS[..4], 2, 0, 0)?, [1, 3]);
    assert_eq!(all_cuts(&BASKETS[..4], 20, 5, 0)?, [1, 3]);
    let many: Vec<i32> = (0..12).collect();
    let mut drawn = [0; 12];
    for step in 0..4_400 {
        for cut in all_cuts(&many, 4, 9, step)? {
            drawn[cut as usize] += 1;
        }
    }
    assert_eq!(drawn[0], 0);
    assert!(drawn[1..].iter().all(|times| (1_450..1_750).contains(times)), "{drawn:?}");
    assert_ne!(all_cuts(&many, 4, 9, 0)?, all_cuts(&many, 4, 9, 5)?);
    Ok(())
}

#[test]
fn refuses_what_does_not_exist() -> Result<()> {
    let before = |n_items, rows: &[i64], cuts: &[i64]| {
        timeline()?.before(clock(&TIMES), n_items, rows, cuts, &[Scale::Even]).map(|_| ())
    };
    let index = |argument, position, value, high| Error::Index { argument, position, value, low: 0, high };
    assert_eq!(before(4, &[3], &[1]), Err(index("rows", 0, 3, 3)));
    assert_eq!(before(4, &[0], &[5]), Err(index("cuts", 0, 5, 5)));
    let parted =
        Error::Setting { argument: "cuts", got: "2".into(), expected: "a place between two baskets" };
    assert_eq!(before(4, &[0], &[2]), Err(parted));
    assert_eq!(timeline()?.after(3, &[0], &[1], 9, false), Err(index("items", 3, 3, 3)));
    assert_eq!(before(4, &[0], &[-1]), Err(index("cuts", 0, -1, 5)));
    let length = |argument, got, expected| Error::Length { argument, got, expected };
    assert_eq!(before(4, &[0], &[]), Err(length("cuts", 0, 1)));
    assert_eq!(Timeline::new(&INDPTR, &ITEMS, &BASKETS[1..]).err(), Some(length("baskets", 4, 5)));
    let few = timeline()?.before(clock(&TIMES[1..]), 4, &[0], &[4], &[Scale::Even]);
    assert_eq!(few, Err(length("times", 4, 5)));
    let backwards = [1.0, 2.0, 1.0, 5.0, 9.0];
    let unordered = timeline()?.before(clock(&backwards), 4, &[0], &[4], &[Scale::Even]);
    assert_eq!(unordered, Err(Error::Unordered { argument: "times", position: 2 }));
    for (position, value) in [(0, f64::NAN), (0, f64::NEG_INFINITY), (2, f64::NAN), (3, f64::INFINITY)] {
        let mut times = TIMES;
        times[position] = value;
        let found = timeline()?.before(clock(&times), 4, &[0], &[4], &[Scale::Even]).map(drop);
        let named =
            matches!(found, Err(Error::NotFinite { argument: "times", position: at, .. }) if at == position);
        assert!(named, "{found:?}");
    }
    for now in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 4.0] {
        let clock = Clock { now: Some(now), ..clock(&TIMES) };
        let found = timeline()?.before(clock, 4, &[0], &[4], &[Scale::Seconds(1.0)]);
        assert!(matches!(found, Err(Error::Setting { argument: "now", .. })), "{found:?}");
        // Only the past is looked at, and of an empty one nothing is old.
        assert!(timeline()?.before(clock, 4, &[1], &[0], &[Scale::Seconds(1.0)]).is_ok());
    }
    assert!(timeline()?.before(clock(&TIMES), 1 << 30, &[0], &[4], &[Scale::Even; 2]).is_err());
    for (kind, tau) in [("interactions", 0.0), ("seconds", f64::INFINITY), ("minutes", 1.0)] {
        assert!(Scale::new(kind, tau).is_err());
    }
    for baskets in [[0, 1, 0, 2, 0], [0, 2, 2, 3, 0], [1, 1, 1, 2, 0], [-1, 0, 0, 1, 0]] {
        assert!(draw_cuts(&INDPTR, &baskets, &[0], &[0], 1, 0, 0).is_err(), "{baskets:?}");
    }
    let place = |row, place, most| draw_cuts(&INDPTR, &BASKETS, &[row], &[place], most, 0, 0);
    assert_eq!(place(0, 2, 3), Err(index("places", 0, 2, 2)));
    assert_eq!(place(0, 1, 1), Err(index("places", 0, 1, 1)));
    assert_eq!(place(2, -1, 1), Err(index("places", 0, -1, 1)));
    assert_eq!(draw_cuts(&INDPTR, &BASKETS, &[0], &[], 1, 0, 0), Err(length("places", 0, 1)));
    Ok(())
}

proptest! {
    #[test]
    fn nothing_is_lost_at_a_cut(
        items in prop::collection::vec(0..50_i32, 1..30),
        steps in prop::collection::vec(0..2_i32, 30),
        seed: u64,
    ) {
        let mut baskets = vec![0];
        baskets.extend(steps.iter().take(items.len() - 1).scan(0, |last, step| { *last += step; Some(*last) }));
        let times: Vec<f64> = baskets.iter().copied().map(f64::from).collect();
        let indptr = [0, items.len() as i64];
        let timeline = Timeline::new(&indptr, &items, &baskets)?;
        let cuts = draw_cuts(&indptr, &baskets, &[0], &[0], 3, seed, 0)?;
        let mut whole = timeline.before(clock(&times), 50, &[0], &cuts, &[Scale::Even])?.indices;
        whole.reverse();
        whole.extend(timeline.after(50, &[0], &cuts, usize::MAX, false)?.indices);
        prop_assert_eq!(whole, items);
    }

    #[test]
    fn cuts_of_a_history_are_different_and_evenly_spaced(places in 1..200_i32, most in 1..30_usize, seed: u64) {
        let baskets: Vec<i32> = (0..=places).collect();
        let cuts = all_cuts(&baskets, most, seed, 0)?;
        let n = most.min(places as usize) as i64;
        prop_assert_eq!(cuts.len() as i64, n);
        prop_assert!(cuts[0] >= 1 && cuts[cuts.len() - 1] <= i64::from(places));
        let least = i64::from(places) / n;
        for pair in cuts.windows(2) {
            prop_assert!((least..=least + 1).contains(&(pair[1] - pair[0])), "{:?}", cuts);
        }
    }
}

use super::*;
use crate::random::Random;
use proptest::prelude::*;

/// Lists of one user, from blocks `(first_item, scores)` in the order given: the same at every level.
fn rank(
    blocks: &[(usize, &[f32])],
    seen: &[i32],
    denied: Option<&[u8]>,
    k: usize,
) -> Result<(Vec<i32>, Vec<f32>)> {
    let lists = rank_at(Level::current()?, blocks, seen, denied, k);
    for level in Level::available() {
        assert_eq!(rank_at(level, blocks, seen, denied, k), lists, "{level}");
    }
    lists
}

fn rank_at(
    level: Level,
    blocks: &[(usize, &[f32])],
    seen: &[i32],
    denied: Option<&[u8]>,
    k: usize,
) -> Result<(Vec<i32>, Vec<f32>)> {
    let (mut items, mut values) = (vec![-1; k], vec![f32::NEG_INFINITY; k]);
    let indptr = [0, seen.len() as i64];
    for &(first_item, scores) in blocks {
        let seen = Pattern::new(["seen_indptr", "seen_indices"], &indptr, seen)?;
        let block = Block { scores, width: scores.len(), first_item, seen, rows: &[0], denied };
        top_k_at(level, &block, &mut items, &mut values, k)?;
    }
    Ok((items, values))
}

/// The same by sorting everything.
fn rank_by_sorting(scores: &[f32], seen: &[i32], denied: Option<&[u8]>, k: usize) -> (Vec<i32>, Vec<f32>) {
    let allowed = |item: &usize| {
        scores[*item] != f32::NEG_INFINITY
            && seen.binary_search(&(*item as i32)).is_err()
            && denied.is_none_or(|denied| denied[*item] == 0)
    };
    let mut items: Vec<usize> = (0..scores.len()).filter(allowed).collect();
    items.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).expect("no NaN").then(a.cmp(&b)));
    items.truncate(k);
    let (mut best, mut values) = (vec![-1; k], vec![f32::NEG_INFINITY; k]);
    for (place, item) in items.into_iter().enumerate() {
        (best[place], values[place]) = (item as i32, scores[item]);
    }
    (best, values)
}

#[test]
fn keys_order_as_candidates_do() {
    let ascending = [f32::MIN, -1.0, -f32::MIN_POSITIVE, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY];
    for pair in ascending.windows(2) {
        assert!(key(pair[0], 0) < key(pair[1], i32::MAX), "{pair:?}");
    }
    assert_eq!(key(-0.0, 5), key(0.0, 5));
    assert!(key(2.0, 4) > key(2.0, 5));
    assert_eq!(unpack(key(-1.5, 7)), (-1.5, 7));
}

#[test]
fn ties_go_to_the_lower_item_in_any_order_of_blocks() {
    let last = i32::MAX as usize - 70;
    let highest = (vec![last as i32, last as i32 + 1], vec![5.0, 5.0]);
    assert_eq!(rank(&[(last, &[5.0; 70])], &[], None, 2), Ok(highest));
    let scores = [0.0, -0.0, 1.0, 0.0, 1.0, -0.0];
    let expected = (vec![2, 4, 0, 1], vec![1.0, 1.0, 0.0, 0.0]);
    let (a, b, c) = ((0, &scores[..2]), (2, &scores[2..3]), (3, &scores[3..]));
    for blocks in [[a, b, c], [c, b, a], [b, a, c], [c, a, b]] {
        assert_eq!(rank(&blocks, &[], None, 4), Ok(expected.clone()));
    }
}

#[test]
fn nan_matters_only_where_the_item_could_be_recommended() {
    let scores = [1.0, f32::NAN, 3.0];
    assert_eq!(rank(&[(0, &scores)], &[], None, 1), Err(Error::NanScore { row: 0, column: 1 }));
    assert_eq!(rank(&[(4, &scores)], &[5], None, 1), Ok((vec![6], vec![3.0])));
    assert_eq!(rank(&[(0, &scores)], &[], Some(&[0, 9, 0]), 1), Ok((vec![2], vec![3.0])));
    // Also where the list is full of better ones and the bits of the NaN have the sign set.
    let late = [&[9.0; 100][..], &[-f32::NAN]].concat();
    assert_eq!(rank(&[(0, &late)], &[], None, 2), Err(Error::NanScore { row: 0, column: 100 }));
}

#[test]
fn short_lists_end_in_nothing() {
    let none = (vec![-1; 3], vec![f32::NEG_INFINITY; 3]);
    assert_eq!(rank(&[], &[], None, 3), Ok(none.clone()));
    assert_eq!(rank(&[(0, &[]), (0, &[1.0, 2.0])], &[0, 1], None, 3), Ok(none.clone()));
    assert_eq!(rank(&[(0, &[f32::NEG_INFINITY; 40])], &[], None, 3), Ok(none));
    let expected = (vec![1, 0, -1], vec![f32::INFINITY, f32::MIN, f32::NEG_INFINITY]);
    assert_eq!(rank(&[(0, &[f32::MIN, f32::INFINITY])], &[], None, 3), Ok(expected));
}

/// The first pass must leave out what is left out, wherever a maximum stands.
#[test]
fn a_row_of_maxima_left_out_raises_no_bar() {
    let scores: Vec<f32> = (0..1000).map(|item| if item < 64 { 9.0 } else { -(item as f32) }).collect();
    let seen: Vec<i32> = (0..64).collect();
    let expected = Ok((vec![64, 65], vec![-64.0, -65.0]));
    assert_eq!(rank(&[(0, &scores)], &seen, None, 2), expected);
    let denied: Vec<u8> = (0..1000).map(|item| u8::from(item < 64)).collect();
    assert_eq!(rank(&[(0, &scores)], &[], Some(&denied), 2), expected);
    // Nothing but -inf and what is left out.
    let lowest: Vec<f32> = (0..1000).map(|item| if item < 64 { 9.0 } else { f32::NEG_INFINITY }).collect();
    let none = (vec![-1; 2], vec![f32::NEG_INFINITY; 2]);
    assert_eq!(rank(&[(0, &lowest)], &seen, None, 2), Ok(none));
}

#[test]
fn denied_items_are_listed_while_they_are_few() {
    let denied: Vec<u8> = (0..400).map(|item| u8::from(item >= 10)).collect();
    assert_eq!(denied_items(None, 0..400), Some(vec![]));
    assert_eq!(denied_items(Some(&denied), 8..12), Some(vec![10, 11]));
    let most = 10 + MOST_DENIED;
    assert_eq!(denied_items(Some(&denied), 0..most).map(|items| items.len()), Some(MOST_DENIED));
    assert_eq!(denied_items(Some(&denied), 0..most + 1), None);
}

#[test]
fn broken_promises() {
    let seen = Pattern::new(["seen_indptr", "seen_indices"], &[0, 2, 9], &[3, 1]).expect("not empty");
    let sound = Block { scores: &[1.0; 4], width: 4, first_item: 0, seen, rows: &[0], denied: None };
    let call = |block: &Block<'_>, items: &[i32], values: &[f32], k| {
        top_k(block, &mut items.to_vec(), &mut values.to_vec(), k)
    };
    let (items, values) = ([-1; 2], [f32::NEG_INFINITY; 2]);
    let unsorted = Error::Unsorted { argument: "seen_indices", row: 0, previous: 3, next: 1, unique: false };
    assert_eq!(call(&sound, &items, &values, 2), Err(unsorted));
    for value in [-1, 2] {
        let error = Error::Index { argument: "rows", position: 0, value, low: 0, high: 2 };
        assert_eq!(call(&Block { rows: &[value], ..sound }, &items, &values, 2), Err(error));
    }
    let broken = call(&Block { rows: &[1], ..sound }, &items, &values, 2);
    assert!(matches!(broken, Err(Error::IndptrRow { row: 1, end: 9, .. })));
    assert!(matches!(call(&sound, &[], &[], 0), Err(Error::Setting { argument: "k", .. })));
    let huge = Block { first_item: usize::MAX, ..sound };
    assert!(matches!(call(&huge, &items, &values, 2), Err(Error::Setting { argument: "first_item", .. })));
    for (scores, items, values, denied, wrong) in [
        (&[1.0; 3][..], &items[..], &values[..], None, "scores"),
        (&[1.0; 4], &items[..1], &values, None, "items"),
        (&[1.0; 4], &items, &values[..1], None, "values"),
        (&[1.0; 4], &items, &values, Some(&[0; 3][..]), "denied"),
    ] {
        let error = call(&Block { scores, denied, ..sound }, items, values, 2);
        assert!(matches!(error, Err(Error::Length { argument, .. }) if argument == wrong), "{error:?}");
    }
    let seen = Pattern::new(["seen_indptr", "seen_indices"], &[0, 0], &[]).expect("not empty");
    let none = f32::NEG_INFINITY;
    for (items, values) in [
        ([0, 1], [1.0, 2.0]),
        ([1, 0], [1.0, 1.0]),
        ([0, 0], [1.0, 1.0]),
        ([0, 1], [1.0, f32::NAN]),
        ([0, 1], [1.0, none]),
        ([-1, 0], [none, 1.0]),
        ([0, -1], [1.0, 0.0]),
        ([0, -2], [1.0, none]),
    ] {
        let error = call(&Block { seen, ..sound }, &items, &values, 2);
        assert_eq!(error, Err(Error::RunningList { row: 0 }), "{items:?} {values:?}");
    }
}

/// Miri takes minutes for a thousand scores.
const LONG: usize = if cfg!(miri) { 210 } else { 3_000 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.min(128)))]

    /// Rows long enough for the first pass, down to those cut off behind it.
    #[test]
    fn long_rows_give_what_sorting_gives(
        width in prop_oneof![4 => 200..LONG, 1 => 22 * LONG..23 * LONG],
        k in prop_oneof![1..40_usize, 60..70_usize, 120..300_usize],
        kinds in prop_oneof![Just(3_usize), Just(1_000_000)],
        slope in prop_oneof![Just(0.0_f32), Just(1.0), Just(-1.0)],
        masked in prop_oneof![Just(0.0), Just(0.02), Just(0.5)],
        deny: bool,
        best_masked: bool,
        border in 0..3_000_usize,
        seed: u64,
    ) {
        let mut random = Random::new(seed);
        let mut scores: Vec<f32> = (0..width)
            .map(|item| random.below(kinds) as f32 / kinds as f32 + slope * (item / 64) as f32)
            .collect();
        let mut order: Vec<usize> = (0..width).collect();
        if best_masked {
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        }
        let mut denied = vec![0; width];
        let mut seen = Vec::new();
        for &item in &order[..(masked * width as f64) as usize] {
            match random.below(3) {
                0 if deny => denied[item] = 1,
                _ => seen.push(item as i32),
            }
            if random.below(10) == 0 {
                // One of them signalling, which some instructions treat otherwise.
                scores[item] = if item % 2 == 0 { f32::NAN } else { f32::from_bits(0x7FA0_0000) };
            }
        }
        seen.sort_unstable();
        let denied = deny.then_some(&denied[..]);
        let expected = Ok(rank_by_sorting(&scores, &seen, denied, k));
        prop_assert_eq!(&rank(&[(0, &scores)], &seen, denied, k), &expected);
        let (left, right) = scores.split_at(border.min(width));
        prop_assert_eq!(&rank(&[(left.len(), right), (0, left)], &seen, denied, k), &expected);
    }
}

proptest! {
    #[test]
    fn blocks_in_any_order_give_what_sorting_gives(
        scores in prop::collection::vec(
            prop_oneof![
                (-3..3_i8).prop_map(f32::from), -1.0..1.0_f32, Just(-0.0), Just(f32::INFINITY), Just(f32::NEG_INFINITY),
            ],
            0..300,
        ),
        masked in prop::collection::vec(prop::bool::weighted(0.2), 300),
        denied in prop::option::of(prop::collection::vec(prop_oneof![4 => Just(0_u8), 1 => 1..=255_u8], 300)),
        cuts in prop::collection::vec(0..300_usize, 0..5),
        backwards: bool,
        k in 1..70_usize,
    ) {
        let seen: Vec<i32> = (0..300).filter(|&item| masked[item as usize]).collect();
        let mut borders: Vec<usize> = cuts.into_iter().map(|cut| cut.min(scores.len())).collect();
        borders.extend([0, scores.len()]);
        borders.sort_unstable();
        let mut blocks: Vec<_> = borders.windows(2).map(|pair| (pair[0], &scores[pair[0]..pair[1]])).collect();
        if backwards {
            blocks.reverse();
        }
        let denied = denied.as_deref();
        prop_assert_eq!(rank(&blocks, &seen, denied, k), Ok(rank_by_sorting(&scores, &seen, denied, k)));
    }
}

//! k-means against its readable twin, and the promises of its documentation.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::random::Random;

const NEVER: &dyn Fn() -> bool = &|| false;

/// Rows around `centers` separate places.
fn blobs(rows: usize, dim: usize, centers: usize, spread: f32, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut uniform = |range: f32| (random.unit() as f32 - 0.5) * range;
    let places: Vec<f32> = (0..centers * dim).map(|_| uniform(20.0)).collect();
    let coordinate = |i: usize| places[i / dim % centers * dim + i % dim];
    (0..rows * dim).map(|i| coordinate(i) + uniform(spread)).collect()
}

fn points(values: &[f32], dim: usize) -> Points<'_> {
    Points::new("points", values, (values.len() / dim, dim)).expect("sound points")
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}

/// Lloyd's algorithm as textbooks have it, in float64; empty groups keep their centroids.
fn lloyd_by_hand(values: &[f32], dim: usize, start: &[f32], iterations: usize) -> (Vec<i32>, f64) {
    let rows: Vec<&[f32]> = values.chunks_exact(dim).collect();
    let mut centroids: Vec<Vec<f32>> = start.chunks_exact(dim).map(<[f32]>::to_vec).collect();
    let nearest = |row: &[f32], centroids: &[Vec<f32>]| {
        let distances = centroids.iter().map(|centroid| squared_distance(row, centroid)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).expect("k is at least 1")
    };
    for _ in 0..iterations {
        let labels: Vec<usize> = rows.iter().map(|row| nearest(row, &centroids).0).collect();
        for (id, centroid) in centroids.iter_mut().enumerate() {
            let members: Vec<_> = rows.iter().zip(&labels).filter(|(_, label)| **label == id).collect();
            for (j, c) in centroid.iter_mut().enumerate().take(dim * usize::from(!members.is_empty())) {
                let sum: f64 = members.iter().map(|(row, _)| f64::from(row[j])).sum();
                *c = (sum / members.len() as f64) as f32;
            }
        }
    }
    let found = rows.iter().map(|row| nearest(row, &centroids));
    let (labels, distances): (Vec<i32>, Vec<f64>) = found.map(|(label, d)| (label as i32, d)).unzip();
    (labels, distances.iter().sum())
}

fn sizes(labels: &[i32], k: usize) -> Vec<usize> {
    let mut sizes = vec![0; k];
    for &label in labels {
        sizes[label as usize] += 1;
    }
    sizes
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(work)
}

#[test]
fn separate_blobs_are_found_at_every_level() {
    let values = blobs(3_000, 5, 6, 1.0, 1);
    let settings = Settings::new(6).and_then(|settings| settings.n_init(3)).expect("sound settings");
    for level in Level::available() {
        let tuning = Tuning::new(level);
        let found = kmeans_with(tuning, &points(&values, 5), None, &settings, NEVER).expect("sound input");
        // The blobs take turns.
        assert!(found.labels.chunks_exact(6).all(|turn| turn == &found.labels[..6]), "{level:?}");
        assert_eq!(sizes(&found.labels, 6), [500; 6]);
    }
}

#[test]
fn far_from_the_origin_and_at_the_ends_of_float32() {
    let values = blobs(500, 3, 4, 1.0, 2);
    let settings = Settings::new(4).expect("sound settings");
    let plain = kmeans(&points(&values, 3), None, &settings, NEVER).expect("sound input");
    for (scale, shift) in [(1.0, 4e4), (1e-3, 1e2), (1e37, 0.0), (1e37, -2e38), (1e-38, 0.0), (1e-20, 0.0)] {
        let other: Vec<f32> = values.iter().map(|x| x * scale + shift).collect();
        let found = kmeans(&points(&other, 3), None, &settings, NEVER).expect("sound input");
        assert_eq!(found.labels, plain.labels, "{scale} {shift}");
        let inertia = plain.inertia * f64::from(scale).powi(2);
        assert!((found.inertia / inertia - 1.0).abs() < 0.05, "{} {inertia}", found.inertia);
    }
}

#[test]
fn the_smallest_questions() {
    let one = kmeans(&points(&[3.0, 4.0], 2), None, &Settings::new(1).expect("sound"), NEVER);
    let answer = Clustering { labels: vec![0], centroids: vec![3.0, 4.0], inertia: 0.0, iterations: 1 };
    assert_eq!(one, Ok(answer));

    let values = [0.0, 1.0, 2.0, 9.0];
    let one = kmeans(&points(&values, 1), None, &Settings::new(1).expect("sound"), NEVER).expect("sound");
    assert_eq!((one.labels, one.centroids, one.inertia), (vec![0; 4], vec![3.0], 50.0));
    let each = kmeans(&points(&values, 1), None, &Settings::new(4).expect("sound"), NEVER).expect("sound");
    assert_eq!((sizes(&each.labels, 4), each.inertia), (vec![1; 4], 0.0));
}

#[test]
fn no_group_is_empty_while_points_differ() {
    let values = blobs(400, 3, 40, 0.5, 3);
    let start = values[..3].repeat(30);
    for (max_iter, balance) in [(1, None), (2, None), (300, None), (1, Some(1.5)), (300, Some(1.0))] {
        let settings = Settings::new(30)
            .and_then(|settings| settings.stop(max_iter, 0.0))
            .and_then(|settings| settings.balance(balance))
            .expect("sound settings");
        let init = points(&start, 3);
        let found = kmeans(&points(&values, 3), Some(&init), &settings, NEVER).expect("sound input");
        let sizes = sizes(&found.labels, 30);
        assert!(sizes.iter().all(|&size| size > 0), "{max_iter} {balance:?} {sizes:?}");
    }
}

#[test]
fn more_groups_than_distinct_points() {
    let values = [1.0, 1.0, 5.0, 5.0, 1.0, 5.0];
    for balance in [None, Some(1.0)] {
        let settings =
            Settings::new(4).and_then(|settings| settings.balance(balance)).expect("sound settings");
        let found = kmeans(&points(&values, 1), None, &settings, NEVER).expect("sound input");
        assert!(found.inertia < 1e-12 || balance.is_some(), "{found:?}");
        assert!(found.labels.iter().all(|label| (0..4).contains(label)));
    }
}

#[test]
fn the_farthest_points_fill_empty_groups_first_ones_first() {
    let values = [0.0, 10.0, -10.0, 1.0];
    let init = [0.0, 50.0];
    let settings = Settings::new(2).and_then(|settings| settings.stop(1, 0.0)).expect("sound settings");
    let found = kmeans(&points(&values, 1), Some(&points(&init, 1)), &settings, NEVER).expect("sound input");
    assert_eq!(found.labels, [0, 1, 0, 0]);
    assert_eq!(found.centroids, [-3.0, 10.0]);
}

#[test]
fn stops_when_asked() {
    let values = blobs(5_000, 4, 3, 9.0, 4);
    for patience in [0, 1, 2, 5] {
        let asked = Cell::new(0);
        let should_stop = || {
            asked.set(asked.get() + 1);
            asked.get() > patience
        };
        let settings = Settings::new(3).expect("sound settings");
        let stopped = kmeans(&points(&values, 4), None, &settings, &should_stop);
        assert_eq!(stopped, Err(Error::Interrupted));
        assert_eq!(asked.get(), patience + 1);
    }
}

#[test]
fn broken_promises() {
    let new = |values: &[f32], shape| Points::new("points", values, shape).map(|_| ()).expect_err("broken");
    assert_eq!(new(&[1.0; 5], (2, 3)), Error::Length { argument: "points", got: 5, expected: 6 });
    for shape in [(0, 3), (3, 0), (0, 0)] {
        assert!(matches!(new(&[], shape), Error::Shape { argument: "points", .. }));
    }
    for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = vec![0.0; 9_000];
        values[7_001] = value;
        let error = new(&values, (4_500, 2));
        assert!(matches!(error, Error::Coordinate { argument: "points", row: 3_500, column: 1, .. }));
    }
    let setting = |result: Result<Settings>| match result {
        Err(Error::Setting { argument, .. }) => argument,
        other => panic!("{other:?}"),
    };
    let sound = Settings::new(3).expect("sound settings");
    assert_eq!(setting(Settings::new(0)), "k");
    assert_eq!(setting(sound.n_init(0)), "n_init");
    assert_eq!(setting(sound.stop(0, 0.0)), "max_iter");
    for tol in [-1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(setting(sound.stop(1, tol)), "tol");
    }
    for balance in [0.99, f64::NAN, f64::INFINITY] {
        assert_eq!(setting(sound.balance(Some(balance))), "balance");
    }
    let two = points(&[1.0, 2.0], 1);
    assert!(matches!(kmeans(&two, None, &sound, NEVER), Err(Error::Setting { argument: "k", .. })));
    let four = points(&[1.0, 2.0, 3.0, 4.0], 1);
    let error = Error::Shape { argument: "init", got: (2, 1), expected: (3, 1) };
    assert_eq!(kmeans(&four, Some(&two), &sound, NEVER), Err(error));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Also over several chunks, and where groups run empty or points coincide.
    #[test]
    fn as_by_hand_at_every_level(
        rows in prop_oneof![4 => 1..80_usize, 1 => 1_500..2_000_usize],
        dim in 1..20_usize,
        k in 1..30_usize,
        spread in prop_oneof![Just(0.0_f32), Just(4.0), Just(40.0)],
        seed: u64,
        iterations in 1..6_usize,
    ) {
        let k = k.min(rows);
        let values = blobs(rows, dim, 25, spread, seed);
        let start = &values[..k * dim];
        let (labels, inertia) = lloyd_by_hand(&values, dim, start, iterations);
        let settings = Settings::new(k)?.stop(iterations, 0.0)?;
        for level in Level::available() {
            let tuning = Tuning::new(level);
            let init = points(start, dim);
            let found = kmeans_with(tuning, &points(&values, dim), Some(&init), &settings, NEVER)?;
            prop_assert!(found.inertia <= inertia * (1.0 + 1e-4) + 1e-6 * rows as f64, "{} {inertia}", found.inertia);
            let same = found.labels.iter().zip(&labels).filter(|(a, b)| a == b).count();
            let full = sizes(&labels, k).iter().all(|&size| size > 0);
            if spread > 0.0 && full && found.inertia > inertia * (1.0 - 1e-6) {
                prop_assert!(same as f64 >= 0.98 * rows as f64, "{same} of {rows}");
            }
            // What is returned belongs together.
            let again: f64 = values
                .chunks_exact(dim)
                .zip(&found.labels)
                .map(|(row, &label)| squared_distance(row, &found.centroids[label as usize * dim..][..dim]))
                .sum();
            prop_assert!((again - found.inertia).abs() <= 1e-9 * again);
        }
    }

    /// Neither threads nor the skipping of centroids at rest nor sketches may change a bit.
    #[test]
    fn the_same_bits_however_it_is_computed(
        rows in prop_oneof![3 => 1..200_usize, 1 => 1_500..2_000_usize],
        dim in 1..6_usize,
        k in 1..25_usize,
        spread in prop_oneof![Just(1.0_f32), Just(30.0)],
        seed: u64,
        n_init in 1..3_usize,
        balance in prop::option::of(1.0..2.0_f64),
    ) {
        let k = k.min(rows);
        let values = blobs(rows, dim, 30, spread, seed);
        let settings = Settings::new(k)?.n_init(n_init)?.stop(8, 0.0)?.balance(balance)?.seed(seed);
        for level in Level::available() {
            let answer = |threads, most_moved, sketch_from| on_threads(threads, || {
                let tuning = Tuning { level, most_moved, sketch_from };
                kmeans_with(tuning, &points(&values, dim), None, &settings, NEVER)
            });
            let one = answer(1, None, 10)?;
            prop_assert_eq!(&one, &answer(2, None, 10)?);
            prop_assert_eq!(&one, &answer(5, None, 10)?);
            if balance.is_none() {
                for (most_moved, sketch_from) in [(0.0, 1), (0.99, 1), (0.0, k + 1), (0.99, k + 1)] {
                    prop_assert_eq!(&one, &answer(2, Some(most_moved), sketch_from)?);
                }
            }
        }
    }

    #[test]
    fn no_group_outgrows_the_balance(
        rows in 1..300_usize,
        dim in 1..6_usize,
        k in 1..40_usize,
        balance in 1.0..3.0_f64,
        spread in prop_oneof![Just(0.0_f32), Just(2.0), Just(30.0)],
        seed: u64,
        max_iter in 1..20_usize,
    ) {
        let k = k.min(rows);
        let values = blobs(rows, dim, 7, spread, seed);
        let settings = Settings::new(k)?.stop(max_iter, 1e-4)?.balance(Some(balance))?.seed(seed);
        let found = kmeans(&points(&values, dim), None, &settings, NEVER)?;
        let cap = rows.div_ceil(k).max((balance * rows as f64 / k as f64) as usize);
        let sizes = sizes(&found.labels, k);
        prop_assert!(sizes.iter().all(|&size| size <= cap), "{sizes:?} {cap}");
    }
}

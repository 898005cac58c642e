//! k-means against its readable twin, and the promises of its documentation.

use proptest::prelude::*;

use super::*;

const NEVER: &dyn Fn() -> bool = &|| false;

fn plain(k: usize) -> Settings {
    Settings { k, n_init: 1, max_iter: 300, tol: 1e-4, balance: None, seed: 0 }
}

fn here() -> Level {
    Level::current().expect("a level")
}

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

fn sizes(labels: &[i32], k: usize) -> Vec<usize> {
    (0..k as i32).map(|id| labels.iter().filter(|&&label| label == id).count()).collect()
}

#[test]
fn far_from_the_origin_and_at_the_ends_of_float32() {
    let values = blobs(500, 3, 4, 1.0, 2);
    let near = kmeans(here(), &points(&values, 3), None, &plain(4), NEVER).expect("sound input");
    for (scale, shift) in [(1.0, 4e4), (1e-3, 1e2), (1e37, 0.0), (1e37, -2e38), (1e-38, 0.0), (1e-20, 0.0)] {
        let other: Vec<f32> = values.iter().map(|x| x * scale + shift).collect();
        let found = kmeans(here(), &points(&other, 3), None, &plain(4), NEVER).expect("sound input");
        assert_eq!(found.labels, near.labels, "{scale} {shift}");
        let inertia = near.inertia * f64::from(scale).powi(2);
        assert!((found.inertia / inertia - 1.0).abs() < 0.05, "{} {inertia}", found.inertia);
    }
}

#[test]
fn the_smallest_questions() {
    let one = kmeans(here(), &points(&[3.0, 4.0], 2), None, &plain(1), NEVER);
    let answer = Clustering { labels: vec![0], centroids: vec![3.0, 4.0], inertia: 0.0, iterations: 1 };
    assert_eq!(one, Ok(answer));
    let values = [0.0, 1.0, 2.0, 9.0];
    let one = kmeans(here(), &points(&values, 1), None, &plain(1), NEVER).expect("sound");
    assert_eq!((one.labels, one.centroids, one.inertia), (vec![0; 4], vec![3.0], 50.0));
    let each = kmeans(here(), &points(&values, 1), None, &plain(4), NEVER).expect("sound");
    assert_eq!((sizes(&each.labels, 4), each.inertia), (vec![1; 4], 0.0));
}

#[test]
fn no_place_is_a_start_twice_while_another_is_left() {
    let values: Vec<f32> = (0..2_000).map(|i| (i % 40) as f32).collect();
    let points = points(&values, 1);
    let space = Space::new(here(), &points, None);
    for seed in 0..5 {
        let chosen = seeding::plus_plus(&space, 40, &mut Random::new(seed), NEVER).expect("no interrupt");
        let mut places: Vec<usize> = chosen.into_iter().map(|point| point % 40).collect();
        places.sort_unstable();
        assert!(places.iter().copied().eq(0..40), "{places:?}");
    }
}

#[test]
fn far_points_are_drawn_in_proportion_to_their_squared_distance() {
    let values = points(&[0.0, 1.0, 2.0, 3.0], 1);
    let space = Space::new(here(), &values, None);
    let search = seeding::Search { space: &space, closest: vec![0.0, 1.0, 4.0, 9.0, 0.0], sums: vec![14.0] };
    let (mut random, mut drawn) = (Random::new(5), [0; 4]);
    (0..14_000).for_each(|_| drawn[search.draw(&mut random)] += 1);
    for (point, &count) in drawn.iter().enumerate() {
        assert!((count - (1_000 * point * point) as i32).abs() < 300, "{drawn:?}");
    }
}

#[test]
fn no_group_is_empty_while_points_differ() {
    let values = blobs(400, 3, 40, 0.5, 3);
    let (values, start) = (points(&values, 3), values[..3].repeat(30));
    for (max_iter, balance) in [(1, None), (2, None), (300, None), (1, Some(1.5)), (20, Some(1.0))] {
        let settings = Settings { max_iter, tol: 0.0, balance, ..plain(30) };
        let found = kmeans(here(), &values, Some(&points(&start, 3)), &settings, NEVER).expect("sound input");
        let sizes = sizes(&found.labels, 30);
        assert!(sizes.iter().all(|&size| size > 0), "{max_iter} {balance:?} {sizes:?}");
    }
}

#[test]
fn the_farthest_points_fill_empty_groups_first_ones_first() {
    let (values, init) = (points(&[0.0, 10.0, -10.0, 1.0], 1), points(&[0.0, 50.0], 1));
    let settings = Settings { max_iter: 1, tol: 0.0, ..plain(2) };
    let found = kmeans(here(), &values, Some(&init), &settings, NEVER).expect("sound input");
    assert_eq!(found.labels, [0, 1, 0, 0]);
    assert_eq!(found.centroids, [-3.0, 10.0]);
}

#[test]
fn stops_when_asked() {
    let values = blobs(5_000, 4, 3, 9.0, 4);
    for patience in [0, 1, 2, 5] {
        let asked = std::cell::Cell::new(0);
        let should_stop = || asked.replace(asked.get() + 1) >= patience;
        let stopped = kmeans(here(), &points(&values, 4), None, &plain(3), &should_stop);
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
    let four = points(&[1.0, 2.0, 3.0, 4.0], 1);
    for (expected, settings) in [
        ("k", plain(0)),
        ("k", plain(5)),
        ("k", plain(usize::MAX)),
        ("n_init", Settings { n_init: 0, ..plain(3) }),
        ("max_iter", Settings { max_iter: 0, ..plain(3) }),
        ("tol", Settings { tol: -1.0, ..plain(3) }),
        ("tol", Settings { tol: f64::NAN, ..plain(3) }),
        ("balance", Settings { balance: Some(0.99), ..plain(3) }),
        ("balance", Settings { balance: Some(f64::INFINITY), ..plain(3) }),
    ] {
        let found = kmeans(here(), &four, None, &settings, NEVER);
        assert!(matches!(found, Err(Error::Setting { argument, .. }) if argument == expected), "{found:?}");
    }
    let two = points(&[1.0, 2.0], 1);
    let error = Error::Shape { argument: "init", got: (2, 1), expected: (3, 1) };
    assert_eq!(kmeans(here(), &four, Some(&two), &plain(3), NEVER), Err(error));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.min(16)))]

    /// Also over several chunks, and where centroids coincide.
    #[test]
    fn every_point_finds_the_nearest_centroid_at_every_level(
        rows in prop_oneof![4 => 1..80_usize, 1 => 1_500..2_000_usize],
        dim in 1..20_usize,
        k in 1..40_usize,
        seed: u64,
    ) {
        let (values, places) = (blobs(rows, dim, 25, 4.0, seed), blobs(k, dim, 20, 0.0, seed ^ 1));
        let points = points(&values, dim);
        for level in Level::available() {
            let space = Space::new(level, &points, None);
            let means = Means::new(&space, places.clone());
            let (labels, leads) = nearest::nearest::<true>(&space, &means.places, &vec![0.0; k], NEVER)?;
            for (point, (&label, &lead)) in labels.iter().zip(&leads).enumerate() {
                let place = |id: usize| &places[id * dim..(id + 1) * dim];
                let mut squares: Vec<_> = (0..k).map(|id| squared_distance(points.row(point), place(id))).collect();
                let own = squares[label as usize];
                // Of those that coincide, the first.
                prop_assert!(squares[..label as usize].iter().all(|&other| other != own));
                squares[label as usize] = f64::INFINITY;
                let next = squares.into_iter().fold(f64::INFINITY, f64::min);
                let expected = (next - own) * f64::from(space.scale * space.scale) / 2.0;
                prop_assert!(k == 1 || expected > -1e-5 && (f64::from(lead) - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads_and_no_group_too_large(
        rows in prop_oneof![3 => 1..200_usize, 1 => 1_500..2_000_usize],
        dim in 1..6_usize,
        k in 1..25_usize,
        spread in prop_oneof![Just(0.0_f32), Just(1.0), Just(30.0)],
        seed: u64,
        n_init in 1..3_usize,
        balance in prop::option::of(1.0..2.0_f64),
    ) {
        let k = k.min(rows);
        let values = blobs(rows, dim, 30, spread, seed);
        let settings = Settings { k, n_init, max_iter: 8, tol: 0.0, balance, seed };
        for level in Level::available() {
            let answer = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
                pool.install(|| kmeans(level, &points(&values, dim), None, &settings, NEVER))
            };
            let one = answer(1)?;
            prop_assert_eq!(&one, &answer(2)?);
            prop_assert_eq!(&one, &answer(5)?);
            let cap = rows.div_ceil(k).max((balance.unwrap_or(f64::INFINITY) * rows as f64 / k as f64) as usize);
            prop_assert!(sizes(&one.labels, k).iter().all(|&size| size <= cap), "{cap}");
            // What is returned belongs together.
            let distance = |(row, &label): (&[f32], &i32)| {
                squared_distance(row, &one.centroids[label as usize * dim..][..dim])
            };
            let again: f64 = values.chunks_exact(dim).zip(&one.labels).map(distance).sum();
            prop_assert!((again - one.inertia).abs() <= 1e-9 * again);
        }
    }
}

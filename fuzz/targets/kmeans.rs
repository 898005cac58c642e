//! Groups of points, at every level of the processor.
#![no_main]

use std::collections::HashSet;

use diffrec::kmeans::{Points, Settings, kmeans};
use diffrec::simd::Level;
use diffrec_fuzz::filled;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<f32>, [u8; 3], u8, [u8; 2], (f64, Option<f64>), (u64, bool))| {
    let (values, [rows, dim, k], given, [n_init, max_iter], (tol, balance), (seed, own)) = input;
    let (rows, dim) = (usize::from(rows) % 120, usize::from(dim) % 20);
    let values = filled(&values, rows * dim);
    let settings = Settings {
        k: usize::from(k),
        n_init: usize::from(n_init) % 3,
        max_iter: usize::from(max_iter) % 10,
        tol,
        balance,
        seed,
    };
    let Ok(points) = Points::new("points", &values, (rows, dim)) else { return };
    let start = filled(&values[usize::from(given) % values.len()..], usize::from(k) * dim);
    let start = Points::new("init", &start, (usize::from(k), dim)).ok();
    // Minus 0 is 0.
    let rows_as_bits =
        values.chunks(dim).map(|row| row.iter().map(|value| (value + 0.0).to_bits()).collect::<Vec<_>>());
    let distinct = rows_as_bits.collect::<HashSet<_>>().len();
    for level in Level::available() {
        if let Ok(found) = kmeans(level, &points, start.as_ref().filter(|_| own), &settings, &|| false) {
            assert_eq!((found.labels.len(), found.centroids.len()), (rows, settings.k * dim));
            assert!(found.labels.iter().all(|&label| (0..settings.k as i32).contains(&label)));
            let full = (0..settings.k as i32).all(|group| found.labels.contains(&group));
            assert!(
                full || distinct < settings.k,
                "a group is empty only where there are fewer distinct points"
            );
        }
    }
});

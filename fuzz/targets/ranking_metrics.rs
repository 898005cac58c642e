//! Ranked lists against what is relevant.
#![no_main]

use diffrec::csr::Pattern;
use diffrec::ranking_metrics::{METRICS, Ranked, ranking_metrics};
use diffrec_fuzz::Rows;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i32>, u8, Vec<i8>)| {
    let (relevant, mut items, length) = (input.0.csr(), input.1, usize::from(input.2));
    let users = relevant.rows();
    items.resize(users * length, 3);
    let k: Vec<i64> = input.3.iter().map(|&k| i64::from(k)).collect();
    let Ok(pattern) = Pattern::new(["indptr", "indices"], &relevant.indptr, &relevant.indices) else {
        return;
    };
    let Ok(ranked) = Ranked::new(&items, (users, length)) else { return };
    if let Ok(metrics) = ranking_metrics(&ranked, &pattern, &k) {
        assert_eq!(metrics.len(), METRICS * k.len() * users);
        assert!(metrics.iter().all(|metric| metric.is_nan() || *metric >= 0.0));
    }
});

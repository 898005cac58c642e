//! The share of the items that is recommended to anyone.
#![no_main]

use diffrec::ranking_metrics::{Ranked, coverage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<i32>, u8, u8, u64, Vec<i8>)| {
    let (mut items, users, length) = (input.0, usize::from(input.1), usize::from(input.2));
    items.resize(users * length, -1);
    let k: Vec<i64> = input.4.iter().map(|&k| i64::from(k)).collect();
    let ranked = Ranked::new(&items, (users, length)).expect("so many");
    // More items than are listed take no memory.
    if let Ok(shares) = coverage(&ranked, input.3 as usize, &k) {
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
    }
});

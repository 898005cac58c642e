//! Items that users do not have.
#![no_main]

use diffrec::csr::Pattern;
use diffrec::negative_sampling::{NO_ITEM, negative_items};
use diffrec_fuzz::{Rows, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i16>, u64, u64)| {
    let (histories, rows) = (input.0.csr(), places(&input.1));
    let Ok(pattern) = Pattern::new(["indptr", "indices"], &histories.indptr, &histories.indices) else {
        return;
    };
    if let Ok(drawn) = negative_items(&pattern, histories.columns, &rows, input.2, input.3) {
        assert_eq!(drawn.len(), rows.len());
        for (&item, &row) in drawn.iter().zip(&rows) {
            let own = pattern.sorted_row(row as usize, true).expect("it was drawn for");
            assert!((NO_ITEM..histories.columns as i64).contains(&item));
            assert_eq!(item == NO_ITEM, own.len() == histories.columns);
            assert!(!own.iter().any(|&taken| i64::from(taken) == item));
        }
    }
});

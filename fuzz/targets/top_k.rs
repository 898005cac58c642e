//! Running top-K lists over two blocks of scores.
#![no_main]

use diffrec::csr::Pattern;
use diffrec::topk::{Block, top_k};
use diffrec_fuzz::{Rows, filled, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i16>, Vec<f32>, [u8; 3], Option<Vec<u8>>, Option<u64>)| {
    let (seen, rows, scores, [first_width, second_width, k], denied, far) = input;
    let (seen, mut rows, k) = (seen.csr(), places(&rows), usize::from(k));
    rows.truncate(8);
    let Ok(pattern) = Pattern::new(["indptr", "indices"], &seen.indptr, &seen.indices) else { return };
    let (mut items, mut values) = (vec![-1; rows.len() * k], vec![f32::NEG_INFINITY; rows.len() * k]);
    let mut first_item = far.map_or(0, |far| far as usize);
    for width in [first_width, second_width].map(usize::from) {
        let scores = filled(&scores, rows.len() * width);
        let block = Block {
            scores: &scores,
            width,
            first_item,
            seen: pattern,
            rows: &rows,
            denied: denied.as_deref(),
        };
        if top_k(&block, &mut items, &mut values, k).is_err() {
            return;
        }
        first_item += width;
    }
    for ((items, values), row) in items.chunks(k).zip(values.chunks(k)).zip(&rows) {
        let row = *row as usize;
        let own = &seen.indices[seen.indptr[row] as usize..seen.indptr[row + 1] as usize];
        for (place, (&item, &value)) in items.iter().zip(values).enumerate() {
            assert_eq!(item < 0, value == f32::NEG_INFINITY);
            assert!(item < 0 || (item as usize) < first_item);
            assert!(item < 0 || !own.contains(&item), "seen items stay out");
            let before = place.checked_sub(1).map(|place| (values[place], items[place]));
            assert!(
                before.is_none_or(
                    |(score, other)| score > value || score == value && (item < 0 || other < item)
                )
            );
        }
    }
});

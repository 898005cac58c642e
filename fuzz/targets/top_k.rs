//! Running top-K lists over two blocks of scores, against sorting.
#![no_main]

use diffrec::csr::Pattern;
use diffrec::topk::{Block, top_k};
use diffrec_fuzz::{Rows, filled, places};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, Vec<i16>, Vec<f32>, ([u16; 2], u8), Option<Vec<u8>>, Option<u64>)| {
    let (seen, rows, scores, (widths, k), denied, far) = input;
    let (seen, mut rows, k) = (seen.csr(), places(&rows), usize::from(k));
    // Wide enough for the pass that raises the bar.
    let widths = widths.map(|width| usize::from(width) % 2000);
    rows.truncate(8);
    let Ok(pattern) = Pattern::new(["indptr", "indices"], &seen.indptr, &seen.indices) else { return };
    let (mut items, mut values) = (vec![-1; rows.len() * k], vec![f32::NEG_INFINITY; rows.len() * k]);
    let mut first_item = far.map_or(0, |far| far as usize);
    let start = first_item;
    let mut blocks = Vec::new();
    for width in widths {
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
        blocks.push((width, scores));
    }
    for (user, (items, values)) in items.chunks(k).zip(values.chunks(k)).enumerate() {
        let own = pattern.sorted_row(rows[user] as usize, false).expect("it was ranked");
        let scores = blocks.iter().flat_map(|(width, scores)| &scores[user * width..(user + 1) * width]);
        let mut expected: Vec<(i32, f32)> = scores
            .zip(start as i32..)
            .map(|(&score, item)| (item, score))
            .filter(|(item, score)| *score != f32::NEG_INFINITY && own.binary_search(item).is_err())
            .filter(|(item, _)| denied.as_ref().is_none_or(|denied| denied[*item as usize] == 0))
            .collect();
        expected.sort_by(|a, b| b.1.partial_cmp(&a.1).expect("NaN is an error").then(a.0.cmp(&b.0)));
        expected.resize(k.max(expected.len()), (-1, f32::NEG_INFINITY));
        assert!(items.iter().copied().zip(values.iter().copied()).eq(expected.into_iter().take(k)));
    }
});

//! Noise by its place: a part of it is that part of the whole.
#![no_main]

use diffrec::noise::normal_rows;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, u32, Vec<i64>, u64, u8, u8)| {
    let (seed, step, mut rows, first, width, skip) = input;
    rows.truncate(8);
    let (first, width) = (first as usize, usize::from(width));
    let skip = usize::from(skip).min(width);
    let (mut whole, mut part) = (vec![0.0; rows.len() * width], vec![0.0; rows.len() * (width - skip)]);
    if normal_rows(seed, step, &rows, first, width, &mut whole).is_err() {
        return;
    }
    assert!(whole.iter().all(|value| value.abs() < 20.0));
    if let Some(first) = first.checked_add(skip).filter(|_| skip < width) {
        normal_rows(seed, step, &rows, first, width - skip, &mut part).expect("as the whole");
        for (whole, part) in whole.chunks(width).zip(part.chunks(width - skip)) {
            assert_eq!(&whole[skip..], part);
        }
    }
});

//! Matrices for the fuzz targets: sound ones, and ones that break a promise in one place.
//!
//! Bytes that are a sound row pointer are not soon come by. So rows are drawn, put together, and then perhaps spoilt: the
//! kernels are reached both ways. A target may end with an error of the crate; a panic, a read or write outside an array
//! (cargo-fuzz builds with AddressSanitizer) or an answer that cannot be is a finding.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use diffrec::csr::Sparse;

/// A sparse matrix as kernels take it.
#[derive(Debug, Clone)]
pub struct Csr {
    /// Where each row starts, and where the last one ends.
    pub indptr: Vec<i64>,
    /// Columns.
    pub indices: Vec<i32>,
    /// Values, as many as columns unless spoilt.
    pub data: Vec<f32>,
    /// Number of columns.
    pub columns: usize,
}

/// What a matrix is made of.
#[derive(Debug, Arbitrary)]
pub struct Rows {
    columns: u8,
    unsorted: bool,
    rows: Vec<Vec<(u8, f32)>>,
    spoilt: Option<(u8, u16, i64)>,
}

impl Rows {
    /// Put the matrix together: columns that ascend strictly within a row unless `unsorted`, then one place spoilt.
    #[must_use]
    pub fn csr(&self) -> Csr {
        let columns = usize::from(self.columns);
        let mut made = Csr { indptr: vec![0], indices: Vec::new(), data: Vec::new(), columns };
        for row in &self.rows {
            let mut row: Vec<(i32, f32)> = row
                .iter()
                .filter(|_| columns > 0)
                .map(|&(column, value)| (i32::from(column) % columns as i32, value))
                .collect();
            if !self.unsorted {
                row.sort_by_key(|&(column, _)| column);
                row.dedup_by_key(|&mut (column, _)| column);
            }
            made.indices.extend(row.iter().map(|&(column, _)| column));
            made.data.extend(row.iter().map(|&(_, value)| value));
            made.indptr.push(made.indices.len() as i64);
        }
        if let Some((what, place, value)) = self.spoilt {
            made.spoil(what, usize::from(place), value);
        }
        made
    }
}

impl Csr {
    fn spoil(&mut self, what: u8, place: usize, value: i64) {
        let (rows, stored) = (self.indptr.len(), self.indices.len());
        match what % 5 {
            0 => self.indptr[place % rows] = value,
            1 if stored > 0 => self.indices[place % stored] = value as i32,
            2 if stored > 0 => self.data[place % stored] = f32::from_bits(value as u32),
            3 => self.indptr.truncate(place % (rows + 1)),
            _ => self.data.truncate(place % (stored + 1)),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Baskets of the stored entries, numbered from 0 within each row: two entries to a basket.
    #[must_use]
    pub fn baskets(&self) -> Vec<i32> {
        let mut baskets = vec![0; self.indices.len()];
        for bounds in self.indptr.windows(2) {
            let row = usize::try_from(bounds[0]).unwrap_or(0)..usize::try_from(bounds[1]).unwrap_or(0);
            for (place, basket) in baskets.get_mut(row).unwrap_or_default().iter_mut().enumerate() {
                *basket = place as i32 / 2;
            }
        }
        baskets
    }

    /// The matrix with whole numbers below 64 for values, whose products and sums are exact.
    #[must_use]
    pub fn with_small_values(mut self) -> Self {
        for value in &mut self.data {
            *value = (value.to_bits() % 64) as f32;
        }
        self
    }
}

/// Columns `first..first + width` of a product, term by term, of a matrix and the one whose rows, each column with its
/// value, are `right`.
///
/// # Panics
/// If `left` is not sound.
#[must_use]
pub fn plain_product(
    left: &Sparse<'_>,
    right: impl Fn(usize) -> Vec<(usize, f32)>,
    first: usize,
    width: usize,
) -> Vec<f32> {
    let mut out = vec![0.0; left.indptr().rows() * width];
    for (row, out) in out.chunks_mut(width.max(1)).enumerate() {
        let (inner, scales) = left.row(row).expect("it was multiplied");
        for (&inner, scale) in inner.iter().zip(scales) {
            for (column, value) in right(inner as usize) {
                if let Some(cell) = column.checked_sub(first).and_then(|at| out.get_mut(at)) {
                    *cell += scale * value;
                }
            }
        }
    }
    out
}

/// The entries of `L'R` by row and column, term by term, of a sound L and the values of R at the same places.
#[must_use]
pub fn plain_likeness(matrix: &Csr, right: &[f32]) -> BTreeMap<(i32, i32), f64> {
    let mut found = BTreeMap::new();
    for ends in matrix.indptr.windows(2) {
        let entries = ends[0] as usize..ends[1] as usize;
        for a in entries.clone() {
            for b in entries.clone() {
                let cell = found.entry((matrix.indices[a], matrix.indices[b])).or_insert(0.0);
                *cell += f64::from(matrix.data[a]) * f64::from(right[b]);
            }
        }
    }
    found
}

/// So many floats, over and over those there are.
#[must_use]
pub fn filled(given: &[f32], length: usize) -> Vec<f32> {
    given.iter().copied().chain([1.0]).cycle().take(length).collect()
}

/// Places of a histories' array: some that are there, some that are not.
#[must_use]
pub fn places(given: &[i16]) -> Vec<i64> {
    given.iter().map(|&place| i64::from(place)).collect()
}

//! Blocks of histories x similarities: the scores of the models that keep a matrix of items x items.

use rayon::prelude::*;

use crate::csr::Sparse;
use crate::error::{Error, Result, expect_length};

/// A dense matrix in C order.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a> {
    data: &'a [f32],
    columns: usize,
}

impl<'a> Dense<'a> {
    /// View the values of a matrix.
    ///
    /// # Errors
    /// [`Error::Length`] if they do not make up whole rows.
    pub fn new(argument: &'static str, data: &'a [f32], columns: usize) -> Result<Self> {
        let expected = data.len() / columns.max(1) * columns;
        expect_length(argument, data.len(), expected)?;
        Ok(Self { data, columns })
    }
}

/// A matrix whose rows can be added up in part.
pub trait Rows: Sync {
    /// Columns that are multiplied at once.
    const TILE: usize;

    /// Number of rows.
    fn rows(&self) -> usize;

    /// Add `scale` times columns `first..first + out.len()` of `row`.
    ///
    /// # Errors
    /// What is wrong with the row.
    fn add_row(&self, row: usize, first: usize, scale: f32, out: &mut [f32]) -> Result<()>;
}

impl Rows for Sparse<'_> {
    /// All: each tile would cost a search in every row that is added.
    const TILE: usize = usize::MAX;

    fn rows(&self) -> usize {
        self.indptr().rows()
    }

    #[inline]
    fn add_row(&self, row: usize, first: usize, scale: f32, out: &mut [f32]) -> Result<()> {
        let (columns, values) = self.row(row)?;
        // The lowest is below 0: as `usize` it would be the highest, and halving the row would lead astray.
        if columns.first().is_some_and(|&lowest| lowest < 0) {
            return Err(self.pattern().unsorted(row, columns, false));
        }
        let start = if first == 0 { 0 } else { columns.partition_point(|&column| (column as usize) < first) };
        let mut previous = 0;
        for (&column, value) in columns[start..].iter().zip(&values[start..]) {
            if column < previous {
                return Err(self.pattern().unsorted(row, columns, false));
            }
            previous = column;
            match (column as usize).checked_sub(first).and_then(|at| out.get_mut(at)) {
                Some(cell) => *cell += scale * value,
                None => break,
            }
        }
        Ok(())
    }
}

impl Rows for Dense<'_> {
    /// As many as have their sums in a first-level cache.
    const TILE: usize = 4096;

    fn rows(&self) -> usize {
        self.data.len().checked_div(self.columns).unwrap_or(0)
    }

    #[inline]
    fn add_row(&self, row: usize, first: usize, scale: f32, out: &mut [f32]) -> Result<()> {
        let row = &self.data[row * self.columns..][..self.columns];
        let stop = first.saturating_add(out.len());
        let Some(row) = row.get(first..stop) else {
            let (got, expected) = (stop, self.columns);
            return Err(Error::Length { argument: "out", got, expected });
        };
        for (cell, value) in out.iter_mut().zip(row) {
            *cell += scale * value;
        }
        Ok(())
    }
}

/// Write columns `first..first + width` of `left right` into `out`, `(left.rows(), width)` in C order.
///
/// Columns must ascend within each row of a sparse `right`. After an error `out` may be partly written.
///
/// # Errors
/// [`Error::Length`] if `out` has another size; [`Error::IndptrRow`] for a row that is no range of the stored entries,
/// [`Error::Index`] for a column of `left` that is no row of `right`, [`Error::Unsorted`] where columns of `right` that are
/// read for the
/// block do not ascend: those before it are passed over by halves.
pub fn multiply_block<R: Rows>(
    left: &Sparse<'_>,
    right: &R,
    first: usize,
    width: usize,
    out: &mut [f32],
) -> Result<()> {
    let rows = left.indptr().rows();
    expect_length("out", out.len(), rows * width)?;
    if width == 0 {
        return Ok(());
    }
    let multiply_row = |(row, out): (usize, &mut [f32])| -> Result<()> {
        let entries = left.indptr().range(row)?;
        for (tile, out) in out.chunks_mut(R::TILE).enumerate() {
            out.fill(0.0);
            for entry in entries.clone() {
                let (other, scale) = left.entry(entry, right.rows())?;
                right.add_row(other, first.saturating_add(tile * R::TILE), scale, out)?;
            }
        }
        Ok(())
    };
    out.par_chunks_mut(width).enumerate().map(multiply_row).find_map_first(Result::err).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn csr(dense: &[f32], columns: usize) -> (Vec<i64>, Vec<i32>, Vec<f32>) {
        let (mut indptr, mut indices, mut data) = (vec![0], Vec::new(), Vec::new());
        for row in dense.chunks(columns) {
            for (column, &value) in row.iter().enumerate().filter(|entry| *entry.1 != 0.0) {
                indices.push(column as i32);
                data.push(value);
            }
            indptr.push(indices.len() as i64);
        }
        (indptr, indices, data)
    }

    const LEFT: [&str; 3] = ["left_indptr", "left_indices", "left_data"];
    const RIGHT: [&str; 3] = ["right_indptr", "right_indices", "right_data"];

    proptest! {
        #[test]
        fn any_block_is_part_of_the_product(
            left in prop::collection::vec((-2..3_i8).prop_map(f32::from), 4 * 5),
            right in prop::collection::vec((-1..2_i8).prop_map(f32::from), 5 * 9),
            (first, width) in (0..9_usize).prop_flat_map(|first| (Just(first), 0..=9 - first)),
        ) {
            let product = |row: usize, column: usize| {
                (0..5).map(|k| left[row * 5 + k] * right[k * 9 + column]).sum::<f32>()
            };
            let expected: Vec<f32> =
                (0..4).flat_map(|row| (first..first + width).map(move |column| product(row, column))).collect();
            let (left, sparse) = (csr(&left, 5), csr(&right, 9));
            let left = Sparse::new(LEFT, &left.0, &left.1, &left.2).expect("sound");
            let sparse = Sparse::new(RIGHT, &sparse.0, &sparse.1, &sparse.2).expect("sound");
            let dense = Dense::new("right", &right, 9).expect("sound");
            let mut out = vec![7.0; 4 * width];
            multiply_block(&left, &sparse, first, width, &mut out).expect("sound");
            prop_assert_eq!(&out, &expected);
            multiply_block(&left, &dense, first, width, &mut out).expect("sound");
            prop_assert_eq!(&out, &expected);
        }
    }

    #[test]
    fn broken_promises() {
        let right = Sparse::new(RIGHT, &[0, 2, 9], &[3, 1], &[1.0; 2]).expect("lengths agree");
        let dense = Dense::new("right", &[1.0; 8], 4).expect("whole rows");
        let multiply = |row: i32, right: &dyn Fn(&Sparse<'_>) -> Result<()>| {
            right(&Sparse::new(LEFT, &[0, 1], &[row], &[1.0]).expect("lengths agree"))
        };
        let sparse = |left: &Sparse<'_>| multiply_block(left, &right, 0, 4, &mut [0.0; 4]);
        let unsorted =
            Error::Unsorted { argument: "right_indices", row: 0, previous: 3, next: 1, unique: false };
        assert_eq!(multiply(0, &sparse), Err(unsorted));
        assert!(matches!(multiply(1, &sparse), Err(Error::IndptrRow { row: 1, .. })));
        // Also where the block begins behind it.
        let below = Sparse::new(RIGHT, &[0, 6], &[-1, 0, 2, 4, 5, 6], &[1.0; 6]).expect("lengths agree");
        for first in [0, 3, 5] {
            let behind = |left: &Sparse<'_>| multiply_block(left, &below, first, 2, &mut [0.0; 2]);
            let error =
                Error::Index { argument: "right_indices", position: 0, value: -1, low: 0, high: 1 << 31 };
            assert_eq!(multiply(0, &behind), Err(error), "{first}");
        }
        for value in [-1, 2] {
            let error = Error::Index { argument: "left_indices", position: 0, value, low: 0, high: 2 };
            assert_eq!(multiply(value as i32, &sparse), Err(error));
        }
        let outside = |left: &Sparse<'_>| multiply_block(left, &dense, 3, 2, &mut [0.0; 2]);
        assert_eq!(multiply(0, &outside), Err(Error::Length { argument: "out", got: 5, expected: 4 }));
        let wrong = |left: &Sparse<'_>| multiply_block(left, &dense, 0, 4, &mut [0.0; 3]);
        assert_eq!(multiply(0, &wrong), Err(Error::Length { argument: "out", got: 3, expected: 4 }));
        let ragged = Dense::new("right", &[1.0; 7], 4).err();
        assert_eq!(ragged, Some(Error::Length { argument: "right", got: 7, expected: 4 }));
        let short = Sparse::new(RIGHT, &[0, 1], &[0], &[]).err();
        assert_eq!(short, Some(Error::Length { argument: "right_data", got: 0, expected: 1 }));
    }
}

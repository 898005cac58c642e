//! Dense batches of user vectors `x_0`, gathered from the sparse matrix.

use rayon::prelude::*;

use crate::csr::Indptr;
use crate::error::{Error, Result};

/// Rows of a CSR matrix to be gathered, each with a factor.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Where each row's entries lie.
    pub indptr: Indptr<'a>,
    /// Columns of the entries.
    pub indices: &'a [i32],
    /// Values of the entries.
    pub data: &'a [f32],
    /// Which rows, in the order wanted; a row may come more than once.
    pub rows: &'a [i64],
    /// A factor for each of `rows`; none means 1.
    pub weights: Option<&'a [f32]>,
}

impl Rows<'_> {
    /// Whether the arrays go together and every row exists, before anything is written.
    pub(crate) fn check(&self, out: usize, columns: usize) -> Result<()> {
        let Rows { indptr, indices, data, rows, weights } = *self;
        if data.len() != indices.len() {
            return Err(Error::Length { argument: "data", got: data.len(), expected: indices.len() });
        }
        if let Some(weights) = weights
            && weights.len() != rows.len()
        {
            return Err(Error::Length { argument: "weights", got: weights.len(), expected: rows.len() });
        }
        if out != rows.len() * columns {
            return Err(Error::Length { argument: "out", got: out, expected: rows.len() * columns });
        }
        for position in 0..rows.len() {
            indptr.range(indptr.row(rows, position)?)?;
        }
        Ok(())
    }
}

/// Add `factor` times the row at `position` of `from.rows`, and times its weight, to a dense row.
pub(crate) fn add_row(from: &Rows<'_>, position: usize, factor: f32, out: &mut [f32]) -> Result<()> {
    let range = from.indptr.range(from.indptr.row(from.rows, position)?)?;
    let factor = from.weights.map_or(factor, |weights| factor * weights[position]);
    for entry in range {
        match usize::try_from(from.indices[entry]).ok().and_then(|column| out.get_mut(column)) {
            Some(cell) => *cell += factor * from.data[entry],
            None => return Err(bad_column(from.indices, entry, out.len())),
        }
    }
    Ok(())
}

/// Write the rows into `out`, `(rows.len(), columns)` in C order.
///
/// A column stored twice in a row counts with the sum of its values. After an error `out` may be partly written.
///
/// # Errors
/// [`Error::Length`] if the arrays do not go together, [`Error::Index`] for a row or column that does not exist,
/// [`Error::IndptrRow`] for a row that is no range of the stored entries.
pub fn dense_rows(from: &Rows<'_>, out: &mut [f32], columns: usize) -> Result<()> {
    from.check(out.len(), columns)?;
    let fill = |(position, out): (usize, &mut [f32])| {
        out.fill(0.0);
        add_row(from, position, 1.0, out).err()
    };
    // A matrix without columns has no chunks to hand out, but its entries would still be wrong.
    let error = if columns == 0 {
        (0..from.rows.len()).find_map(|position| fill((position, &mut [])))
    } else {
        out.par_chunks_mut(columns).enumerate().find_map_first(fill)
    };
    error.map_or(Ok(()), Err)
}

#[cold]
fn bad_column(indices: &[i32], position: usize, columns: usize) -> Error {
    let value = i64::from(indices[position]);
    Error::Index { argument: "indices", position, value, low: 0, high: columns as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INDPTR: [i64; 4] = [0, 2, 2, 4];
    const INDICES: [i32; 4] = [2, 0, 1, 1];
    const DATA: [f32; 4] = [1.0, 2.0, 3.0, 4.0];

    fn gather(rows: &[i64], weights: Option<&[f32]>, out: &mut [f32], columns: usize) -> Result<()> {
        let indptr = Indptr::new("indptr", &INDPTR, INDICES.len())?;
        dense_rows(&Rows { indptr, indices: &INDICES, data: &DATA, rows, weights }, out, columns)
    }

    #[test]
    fn rows_come_in_the_order_asked() {
        let mut out = [f32::NAN; 9];
        assert_eq!(gather(&[2, 1, 0], None, &mut out, 3), Ok(()));
        assert_eq!(out, [0.0, 7.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 1.0]);
        assert_eq!(gather(&[0, 0, 1], Some(&[1.0, -2.0, 5.0]), &mut out, 3), Ok(()));
        assert_eq!(out, [2.0, 0.0, 1.0, -4.0, 0.0, -2.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_bad_row_leaves_the_batch_alone() {
        let mut out = [9.0; 6];
        for value in [-1, 3, i64::MAX, i64::MIN] {
            let error = Error::Index { argument: "rows", position: 1, value, low: 0, high: 3 };
            assert_eq!(gather(&[0, value], None, &mut out, 3), Err(error));
        }
        assert_eq!(out, [9.0; 6]);
    }

    #[test]
    fn a_bad_column_is_an_error_whatever_the_width() {
        for columns in [0, 1] {
            let error =
                Error::Index { argument: "indices", position: 0, value: 2, low: 0, high: columns as i64 };
            assert_eq!(gather(&[1, 0, 2], None, &mut vec![0.0; 3 * columns], columns), Err(error));
        }
        assert_eq!(gather(&[1, 1], None, &mut [], 0), Ok(()));
        assert_eq!(gather(&[], None, &mut [], 3), Ok(()));
    }

    proptest! {
        /// No arrays, however wrong, make the kernel panic.
        #[test]
        fn arrays_that_do_not_go_together_are_refused(
            indptr in prop::collection::vec(-2..9_i64, 1..5), indices in prop::collection::vec(-1..5_i32, 0..7),
            data in prop::collection::vec(0.0..1.0_f32, 0..7), rows in prop::collection::vec(-1..4_i64, 0..4),
            columns in 0..4_usize, size in 0..12_usize,
        ) {
            let view = Indptr::new("indptr", &indptr, indices.len()).expect("not empty");
            let rows = Rows { indptr: view, indices: &indices, data: &data, rows: &rows, weights: None };
            let _ = dense_rows(&rows, &mut vec![0.0; size], columns);
            if data.len() == indices.len() {
                let _ = dense_rows(&rows, &mut vec![0.0; rows.rows.len() * columns], columns);
            }
        }
    }
}

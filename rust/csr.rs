//! Borrowed views of a sparse user x item matrix in CSR form.

use std::ops::Range;

use crate::error::{Error, Result, expect_length};

/// Where each row's entries lie: the `indptr` of a CSR matrix.
///
/// Made in constant time. [`range`](Self::range) checks the row it hands out, so a batch pays for its own rows only;
/// [`check`](Self::check) checks them all.
#[derive(Debug, Clone, Copy)]
pub struct Indptr<'a> {
    argument: &'static str,
    offsets: &'a [i64],
    stored: usize,
}

impl<'a> Indptr<'a> {
    /// View `offsets` as the row pointer of a matrix with `stored` entries; `argument` is its name in errors.
    ///
    /// # Errors
    /// [`Error::Length`] if `offsets` is empty: even a matrix without rows has one offset.
    pub fn new(argument: &'static str, offsets: &'a [i64], stored: usize) -> Result<Self> {
        if offsets.is_empty() {
            return Err(Error::Length { argument, got: 0, expected: 1 });
        }
        Ok(Self { argument, offsets, stored })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The entries of `row`, a range within the stored ones.
    ///
    /// # Errors
    /// [`Error::IndptrRow`] if the offsets of the row fall or leave the stored entries.
    ///
    /// # Panics
    /// If there is no such row; row numbers from outside go through [`row`](Self::row).
    #[inline]
    pub fn range(&self, row: usize) -> Result<Range<usize>> {
        let (start, end) = (self.offsets[row], self.offsets[row + 1]);
        if 0 <= start && start <= end && end as u64 <= self.stored as u64 {
            Ok(start as usize..end as usize)
        } else {
            Err(Error::IndptrRow { argument: self.argument, row, start, end, stored: self.stored })
        }
    }

    /// `rows[position]` as a row number.
    ///
    /// # Errors
    /// [`Error::Index`] if there is no such row.
    #[inline]
    pub fn row(&self, rows: &[i64], position: usize) -> Result<usize> {
        let value = rows[position];
        match usize::try_from(value) {
            Ok(row) if row < self.rows() => Ok(row),
            _ => Err(Error::Index { argument: "rows", position, value, low: 0, high: self.rows() as i64 }),
        }
    }

    /// Check that the rows share out all stored entries in order.
    ///
    /// # Errors
    /// [`Error::IndptrStart`], [`Error::IndptrRow`] or [`Error::IndptrEnd`].
    pub fn check(&self) -> Result<()> {
        let argument = self.argument;
        let (first, last) = (self.offsets[0], self.offsets[self.rows()]);
        if first != 0 {
            return Err(Error::IndptrStart { argument, got: first });
        }
        for row in 0..self.rows() {
            self.range(row)?;
        }
        if last as u64 != self.stored as u64 {
            return Err(Error::IndptrEnd { argument, got: last, stored: self.stored });
        }
        Ok(())
    }
}

/// Which items each user has: a CSR matrix without its values.
#[derive(Debug, Clone, Copy)]
pub struct Pattern<'a> {
    indptr: Indptr<'a>,
    indices: &'a [i32],
    argument: &'static str,
}

impl<'a> Pattern<'a> {
    /// View a row pointer and column indices; `arguments` are their names in errors.
    ///
    /// # Errors
    /// As [`Indptr::new`].
    pub fn new(arguments: [&'static str; 2], indptr: &'a [i64], indices: &'a [i32]) -> Result<Self> {
        let [indptr_name, argument] = arguments;
        Ok(Self { indptr: Indptr::new(indptr_name, indptr, indices.len())?, indices, argument })
    }

    /// Where each row's entries lie.
    #[must_use]
    pub fn indptr(&self) -> &Indptr<'a> {
        &self.indptr
    }

    /// The columns of `row`, which must ascend from 0 or more, strictly if `unique`.
    ///
    /// # Errors
    /// [`Error::IndptrRow`], [`Error::Unsorted`], or [`Error::Index`] for a column below 0.
    #[inline]
    pub fn sorted_row(&self, row: usize, unique: bool) -> Result<&'a [i32]> {
        let columns = &self.indices[self.indptr.range(row)?];
        let sorted = if unique { columns.is_sorted_by(|a, b| a < b) } else { columns.is_sorted() };
        let sound = sorted && columns.first().is_none_or(|&first| first >= 0);
        if sound { Ok(columns) } else { Err(self.unsorted(row, columns, unique)) }
    }

    /// The columns of `row`, all of them below `columns`, which must ascend strictly.
    ///
    /// # Errors
    /// As [`sorted_row`](Self::sorted_row), and [`Error::Index`] for another column.
    pub fn set_within(&self, row: usize, columns: usize) -> Result<&'a [i32]> {
        within(self.argument, self.sorted_row(row, true)?, self.indptr.range(row)?.start, 0, columns)
    }

    #[cold]
    pub(crate) fn unsorted(&self, row: usize, columns: &[i32], unique: bool) -> Error {
        let first = self.indptr.range(row).map_or(0, |range| range.start);
        if let Err(below_0) = within(self.argument, columns, first, 0, 1 << 31) {
            return below_0;
        }
        let misplaced = columns.windows(2).find(|pair| pair[0] > pair[1] || unique && pair[0] == pair[1]);
        let (previous, next) = misplaced.map_or((0, 0), |pair| (pair[0], pair[1]));
        Error::Unsorted { argument: self.argument, row, previous, next, unique }
    }
}

/// A CSR matrix whose rows are checked as they are used.
#[derive(Debug, Clone, Copy)]
pub struct Sparse<'a> {
    pattern: Pattern<'a>,
    data: &'a [f32],
}

impl<'a> Sparse<'a> {
    /// View a row pointer, column indices and values; `arguments` are their names in errors.
    ///
    /// # Errors
    /// [`Error::Length`] if they do not go together.
    pub fn new(
        arguments: [&'static str; 3],
        indptr: &'a [i64],
        indices: &'a [i32],
        data: &'a [f32],
    ) -> Result<Self> {
        let [indptr_name, indices_name, argument] = arguments;
        expect_length(argument, data.len(), indices.len())?;
        Ok(Self { pattern: Pattern::new([indptr_name, indices_name], indptr, indices)?, data })
    }

    /// Where each row's entries lie.
    #[must_use]
    pub fn indptr(&self) -> &Indptr<'a> {
        &self.pattern.indptr
    }

    /// Which items each user has.
    #[must_use]
    pub fn pattern(&self) -> &Pattern<'a> {
        &self.pattern
    }

    /// The columns and values of `row`.
    ///
    /// # Errors
    /// [`Error::IndptrRow`].
    #[inline]
    pub fn row(&self, row: usize) -> Result<(&'a [i32], &'a [f32])> {
        let range = self.pattern.indptr.range(row)?;
        Ok((&self.pattern.indices[range.clone()], &self.data[range]))
    }

    /// The column, below `columns`, and the value of a stored entry.
    ///
    /// # Errors
    /// [`Error::Index`] for another column.
    ///
    /// # Panics
    /// If there is no such entry.
    #[inline]
    pub fn entry(&self, entry: usize, columns: usize) -> Result<(usize, f32)> {
        let value = self.pattern.indices[entry];
        match usize::try_from(value) {
            Ok(column) if column < columns => Ok((column, self.data[entry])),
            _ => {
                let (argument, high) = (self.pattern.argument, columns as i64);
                Err(Error::Index { argument, position: entry, value: value.into(), low: 0, high })
            }
        }
    }
}

/// A whole user x item matrix, checked once when made: kernels that take it check nothing again.
#[derive(Debug, Clone, Copy)]
pub struct CsrView<'a, I = i32, V = f32> {
    indptr: &'a [i64],
    indices: &'a [I],
    data: &'a [V],
    columns: usize,
}

impl<'a, I, V> CsrView<'a, I, V>
where
    I: Copy + Ord + Into<i64>,
    V: Copy + Into<f64>,
{
    /// Check the arrays of a matrix of `shape` and view them; columns of a row may be unsorted or repeat.
    ///
    /// # Errors
    /// [`Error::Length`], or the `Indptr` variants, if the row pointer does not fit the shape and the stored entries;
    /// [`Error::Index`] for a column outside the shape; [`Error::Value`] for one that is negative, NaN or infinite.
    pub fn new(indptr: &'a [i64], indices: &'a [I], data: &'a [V], shape: (usize, usize)) -> Result<Self> {
        let view = Self::unchecked(indptr, indices, data, shape)?;
        match odd(data, |value| (0.0..f64::INFINITY).contains(&value)) {
            None => Ok(view),
            Some((position, value)) => Err(Error::Value { argument: "data", position, value }),
        }
    }

    /// Check the arrays of a matrix whose values may be below 0, and view them.
    ///
    /// # Errors
    /// As [`new`](Self::new), but [`Error::NotFinite`] for a value that is NaN or infinite.
    pub fn signed(indptr: &'a [i64], indices: &'a [I], data: &'a [V], shape: (usize, usize)) -> Result<Self> {
        let view = Self::unchecked(indptr, indices, data, shape)?;
        finite("data", data)?;
        Ok(view)
    }

    /// A view whose values have not been looked at.
    fn unchecked(indptr: &'a [i64], indices: &'a [I], data: &'a [V], shape: (usize, usize)) -> Result<Self> {
        let (rows, columns) = shape;
        expect_length("indptr", indptr.len(), rows + 1)?;
        expect_length("data", data.len(), indices.len())?;
        Indptr::new("indptr", indptr, indices.len())?.check()?;
        within("indices", indices, 0, 0, columns)?;
        Ok(Self { indptr, indices, data, columns })
    }

    /// Number of users.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of items.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The columns and values of `row`.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> (&'a [I], &'a [V]) {
        let range = self.indptr[row] as usize..self.indptr[row + 1] as usize;
        (&self.indices[range.clone()], &self.data[range])
    }
}

/// The entries of `argument` from number `first` on, if they lie in `low..columns`.
///
/// # Errors
/// [`Error::Index`] for the first that does not.
pub(crate) fn within<'a, I: Copy + Ord + Into<i64>>(
    argument: &'static str,
    entries: &'a [I],
    first: usize,
    low: i64,
    columns: usize,
) -> Result<&'a [I]> {
    let high = i64::try_from(columns).unwrap_or(i64::MAX);
    let inside = |entry: I| (low..high).contains(&entry.into());
    // The least and the greatest of some say it of all.
    let all_inside = |entries: &[I]| {
        let ends =
            entries.first().map(|&one| entries.iter().fold((one, one), |(a, b), &c| (a.min(c), b.max(c))));
        ends.is_none_or(|(least, greatest)| inside(least) && inside(greatest))
    };
    match position_of_odd(entries, all_inside, inside) {
        None => Ok(entries),
        Some(place) => {
            Err(Error::Index { argument, position: first + place, value: entries[place].into(), low, high })
        }
    }
}

/// Check that values are finite.
///
/// # Errors
/// [`Error::NotFinite`] for the first that is not.
pub(crate) fn finite<V: Copy + Into<f64>>(argument: &'static str, values: &[V]) -> Result<()> {
    match odd(values, f64::is_finite) {
        None => Ok(()),
        Some((position, value)) => Err(Error::NotFinite { argument, position, value }),
    }
}

/// Where the first value that is not sound stands, and what it is.
fn odd<V: Copy + Into<f64>>(data: &[V], sound: impl Fn(f64) -> bool) -> Option<(usize, f64)> {
    let one = |value: V| sound(value.into());
    let position = position_of_odd(data, |some| some.iter().fold(true, |all, &value| all & one(value)), one)?;
    Some((position, data[position].into()))
}

/// Values looked at before the question whether one of them is odd: without an exit, their loop takes several at once.
const LOOK: usize = 1024;

fn position_of_odd<T: Copy>(
    values: &[T],
    all_sound: impl Fn(&[T]) -> bool,
    sound: impl Fn(T) -> bool,
) -> Option<usize> {
    let start = values.chunks(LOOK).position(|some| !all_sound(some))? * LOOK;
    values[start..].iter().position(|&value| !sound(value)).map(|place| start + place)
}

/// Sparse rows that a kernel made, or ragged lists where there is no `data`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ragged {
    /// Where each row's entries start, and where the last one's end.
    pub indptr: Vec<i64>,
    /// Columns, or items.
    pub indices: Vec<i32>,
    /// Values.
    pub data: Vec<f32>,
}

/// Where rows of these lengths start, and where the last one ends.
pub(crate) fn offsets(lengths: impl Iterator<Item = usize>) -> Vec<i64> {
    let ends = lengths.scan(0, |end, length| {
        *end += length as i64;
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDPTR: [i64; 4] = [0, 2, 2, 3];
    const INDICES: [i32; 3] = [0, 3, 1];
    const DATA: [f32; 3] = [1.0, 0.0, 2.5];

    fn view(indptr: &[i64], indices: &[i32], data: &[f32], shape: (usize, usize)) -> Result<()> {
        CsrView::new(indptr, indices, data, shape).map(|_| ())
    }

    #[test]
    fn a_sound_matrix_is_viewed() {
        let matrix = CsrView::new(&INDPTR, &INDICES, &DATA, (3, 4)).expect("it is sound");
        assert_eq!((matrix.rows(), matrix.columns()), (3, 4));
        assert_eq!(matrix.row(0), (&[0, 3][..], &[1.0, 0.0][..]));
        assert_eq!(matrix.row(1), (&[][..], &[][..]));
        assert_eq!(view(&[0], &[], &[], (0, 0)), Ok(()));
    }

    #[test]
    fn each_broken_promise_has_its_error() {
        let length = |argument, got, expected| Err(Error::Length { argument, got, expected });
        assert_eq!(view(&INDPTR, &INDICES, &DATA, (2, 4)), length("indptr", 4, 3));
        assert_eq!(view(&INDPTR, &INDICES, &DATA[..2], (3, 4)), length("data", 2, 3));
        assert_eq!(
            view(&[1, 2, 2, 3], &INDICES, &DATA, (3, 4)),
            Err(Error::IndptrStart { argument: "indptr", got: 1 })
        );
        for (falling, row) in [([0, 2, 1, 3], 1), ([0, -1, 2, 3], 0), ([0, 9, 9, 3], 0)] {
            let (start, end) = (falling[row], falling[row + 1]);
            assert_eq!(
                view(&falling, &INDICES, &DATA, (3, 4)),
                Err(Error::IndptrRow { argument: "indptr", row, start, end, stored: 3 })
            );
        }
        assert_eq!(
            view(&[0, 2, 2, 2], &INDICES, &DATA, (3, 4)),
            Err(Error::IndptrEnd { argument: "indptr", got: 2, stored: 3 })
        );
        assert_eq!(
            view(&INDPTR, &INDICES, &DATA, (3, 3)),
            Err(Error::Index { argument: "indices", position: 1, value: 3, low: 0, high: 3 })
        );
        for value in [-1.0, f32::NEG_INFINITY, f32::INFINITY] {
            let value_error = Error::Value { argument: "data", position: 2, value: f64::from(value) };
            assert_eq!(view(&INDPTR, &INDICES, &[1.0, -0.0, value], (3, 4)), Err(value_error));
        }
        assert!(matches!(
            view(&INDPTR, &INDICES, &[f32::NAN; 3], (3, 4)),
            Err(Error::Value { position: 0, .. })
        ));
    }

    #[test]
    fn the_first_odd_entry_is_found_wherever_it_stands() {
        let stored = 2 * LOOK + 3;
        let (indptr, sound) = ([0, stored as i64], vec![1_i64; stored]);
        for position in [0, LOOK - 1, LOOK, stored - 2] {
            let (mut indices, mut data) = (sound.clone(), vec![1.0_f64; stored]);
            indices[position..].fill(2);
            let high = 2;
            let found = CsrView::new(&indptr, &indices, &data, (1, high as usize)).map(drop);
            assert_eq!(found, Err(Error::Index { argument: "indices", position, value: 2, low: 0, high }));
            data[position..].fill(-1.0);
            let found = CsrView::new(&indptr, &sound, &data, (1, 2)).map(drop);
            assert_eq!(found, Err(Error::Value { argument: "data", position, value: -1.0 }));
        }
    }

    #[test]
    fn a_signed_matrix_may_have_values_below_zero() {
        let signed = |data: &[f32]| CsrView::signed(&INDPTR, &INDICES, data, (3, 4)).map(drop);
        assert_eq!(signed(&[-1.0, 0.0, f32::MIN]), Ok(()));
        for value in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY] {
            assert!(
                matches!(signed(&[1.0, value, 1.0]), Err(Error::NotFinite { position: 1, .. })),
                "{value}"
            );
        }
    }

    #[test]
    fn columns_out_of_order_are_named() {
        let row = |columns: &[i32], unique| {
            let offsets = [0, columns.len() as i64];
            Pattern::new(["indptr", "indices"], &offsets, columns)
                .and_then(|p| p.sorted_row(0, unique).map(<[i32]>::len))
        };
        assert_eq!(row(&[0, 3, i32::MAX], true), Ok(3));
        let below =
            |value| Err(Error::Index { argument: "indices", position: 0, value, low: 0, high: 1 << 31 });
        assert_eq!(row(&[-1, 3], true), below(-1));
        assert_eq!(row(&[i32::MIN], false), below(i32::MIN.into()));
        assert_eq!(row(&[1, 1], false), Ok(2));
        let unsorted = |previous, next, unique| {
            Err(Error::Unsorted { argument: "indices", row: 0, previous, next, unique })
        };
        assert_eq!(row(&[0, 1, 1], true), unsorted(1, 1, true));
        assert_eq!(row(&[0, 5, 4], false), unsorted(5, 4, false));
    }
}

//! What can be wrong with the input of a kernel.

/// A kernel's answer.
pub type Result<T> = std::result::Result<T, Error>;

/// A promise broken by the caller, one variant per promise.
///
/// `argument` is the name the parameter has in Python; positions count from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An array has another length than the arrays it goes with require.
    #[error("`{argument}` has {got} entries, expected {expected}")]
    Length {
        /// The array.
        argument: &'static str,
        /// Its length.
        got: usize,
        /// The length that fits.
        expected: usize,
    },
    /// A two-dimensional array has another shape than the arrays it goes with require.
    #[error("`{argument}` has shape {got:?}, expected {expected:?}")]
    Shape {
        /// The array.
        argument: &'static str,
        /// Its shape.
        got: (usize, usize),
        /// The shape that fits.
        expected: (usize, usize),
    },
    /// A CSR row pointer does not begin at 0.
    #[error("`{argument}` starts at {got}, expected 0")]
    IndptrStart {
        /// The row pointer.
        argument: &'static str,
        /// Its first entry.
        got: i64,
    },
    /// A CSR row pointer does not end at the number of stored entries.
    #[error("`{argument}` ends at {got}, but {stored} entries are stored")]
    IndptrEnd {
        /// The row pointer.
        argument: &'static str,
        /// Its last entry.
        got: i64,
        /// How many entries there are.
        stored: usize,
    },
    /// A CSR row is not a range of the stored entries: it falls, is negative, or runs past their end.
    #[error(
        "`{argument}` gives row {row} the entries {start}..{end}, not a range within the {stored} stored"
    )]
    IndptrRow {
        /// The row pointer.
        argument: &'static str,
        /// The row.
        row: usize,
        /// Where the row starts.
        start: i64,
        /// Where it ends.
        end: i64,
        /// How many entries there are.
        stored: usize,
    },
    /// A row number, item or other integer lies outside its range.
    #[error("`{argument}[{position}]` is {value}, expected a value in [{low}, {high})")]
    Index {
        /// The array.
        argument: &'static str,
        /// Where in it.
        position: usize,
        /// What stands there.
        value: i64,
        /// The smallest value allowed.
        low: i64,
        /// One past the largest.
        high: i64,
    },
    /// A value that must be finite and not negative is neither.
    #[error("`{argument}[{position}]` is {value}, expected a finite number that is not negative")]
    Value {
        /// The array.
        argument: &'static str,
        /// Where in it.
        position: usize,
        /// What stands there.
        value: f64,
    },
    /// A value that must be finite is not.
    #[error("`{argument}[{position}]` is {value}, expected a finite number")]
    NotFinite {
        /// The array.
        argument: &'static str,
        /// Where in it.
        position: usize,
        /// What stands there.
        value: f64,
    },
    /// A matrix that must have an inverse has none in the precision it is computed in.
    #[error(
        "`{argument}` give a singular system: they hold huge values or NaN, or `l2` is too small for them"
    )]
    Singular {
        /// The array the matrix was made of.
        argument: &'static str,
    },
    /// A timestamp is NaN or infinite.
    #[error("`timestamps[{position}]` is {value}, expected a finite number")]
    Timestamp {
        /// Where it stands.
        position: usize,
        /// What stands there.
        value: f64,
    },
    /// A score is NaN, so the item has no place in any order.
    #[error("`scores[{row}, {column}]` is NaN")]
    NanScore {
        /// Row of the block.
        row: usize,
        /// Column of the block.
        column: usize,
    },
    /// The columns of a row are not in ascending order, or (where they must be unique) repeat.
    #[error("`{argument}` has {next} after {previous} in row {row}, expected {}", order(*unique))]
    Unsorted {
        /// The column indices.
        argument: &'static str,
        /// The row.
        row: usize,
        /// A column.
        previous: i32,
        /// The column stored after it.
        next: i32,
        /// Whether equal columns are refused too.
        unique: bool,
    },
    /// Values that must not fall do.
    #[error(
        "`{argument}[{position}]` is less than the value before it, expected values that never fall in a row"
    )]
    Unordered {
        /// The array.
        argument: &'static str,
        /// Where it falls.
        position: usize,
    },
    /// A running top-K list did not come from the initial fill or an earlier call.
    #[error(
        "row {row} of `items` and `values` is not a running top-K list: start with -1 and -inf, \
         then pass back what the last call left"
    )]
    RunningList {
        /// The row.
        row: usize,
    },
    /// A coordinate of a point is NaN or infinite.
    #[error("`{argument}[{row}, {column}]` is {value}, expected a finite number")]
    Coordinate {
        /// The array of points.
        argument: &'static str,
        /// The point.
        row: usize,
        /// Which coordinate.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// The caller asked a long computation to stop.
    #[error("interrupted")]
    Interrupted,
    /// This process is a fork of too many forks to have threads of its own.
    #[error("this process is a fork of forks, {most} times over and more; start it anew, as `spawn` does")]
    Forks {
        /// How many times over it may be.
        most: usize,
    },
    /// The threads that kernels run on cannot be started.
    #[error("no threads to compute with: {reason}")]
    Threads {
        /// What the system says.
        reason: String,
    },
    /// The environment asks for instructions that this processor lacks or that nobody knows.
    #[error(
        "the environment variable `{}` is \"{got}\", but this processor has {available}",
        crate::simd::VARIABLE
    )]
    Level {
        /// What it asks for.
        got: String,
        /// What there is.
        available: String,
    },
    /// A setting lies outside its range.
    #[error("`{argument}` is {got}, expected {expected}")]
    Setting {
        /// The parameter.
        argument: &'static str,
        /// Its value.
        got: String,
        /// The values allowed, in words.
        expected: &'static str,
    },
}

fn order(unique: bool) -> &'static str {
    if unique { "ascending columns without repeats" } else { "ascending columns" }
}

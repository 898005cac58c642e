//! What can be wrong with the input of a kernel.

/// A kernel's answer.
pub type Result<T> = std::result::Result<T, Error>;

/// A promise broken by the caller, one variant per promise.
///
/// `argument` is the name the parameter has in Python; positions count from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are what its message names")]
#[non_exhaustive]
pub enum Error {
    /// An array has another length than the arrays it goes with require.
    #[error("`{argument}` has {got} entries, expected {expected}")]
    Length { argument: &'static str, got: usize, expected: usize },
    /// A two-dimensional array has another shape than the arrays it goes with require.
    #[error("`{argument}` has shape {got:?}, expected {expected:?}")]
    Shape { argument: &'static str, got: (usize, usize), expected: (usize, usize) },
    /// A CSR row pointer does not begin at 0.
    #[error("`{argument}` starts at {got}, expected 0")]
    IndptrStart { argument: &'static str, got: i64 },
    /// A CSR row pointer does not end at the number of stored entries.
    #[error("`{argument}` ends at {got}, but {stored} entries are stored")]
    IndptrEnd { argument: &'static str, got: i64, stored: usize },
    /// A CSR row is not a range of the stored entries: it falls, is negative, or runs past their end.
    #[error(
        "`{argument}` gives row {row} the entries {start}..{end}, not a range within the {stored} stored"
    )]
    IndptrRow { argument: &'static str, row: usize, start: i64, end: i64, stored: usize },
    /// A row number, item or other integer lies outside its range.
    #[error("`{argument}[{position}]` is {value}, expected a value in [{low}, {high})")]
    Index { argument: &'static str, position: usize, value: i64, low: i64, high: i64 },
    /// A value that must be finite and not negative is neither.
    #[error("`{argument}[{position}]` is {value}, expected a finite number that is not negative")]
    Value { argument: &'static str, position: usize, value: f64 },
    /// A value that must be finite is not.
    #[error("`{argument}[{position}]` is {value}, expected a finite number")]
    NotFinite { argument: &'static str, position: usize, value: f64 },
    /// A matrix that must have an inverse has none in the precision it is computed in.
    #[error(
        "`{argument}` leads to a singular system: it holds huge values or NaN, or `l2` is too small for it"
    )]
    Singular { argument: &'static str },
    /// A score is NaN, so the item has no place in any order.
    #[error("`scores[{row}, {column}]` is NaN")]
    NanScore { row: usize, column: usize },
    /// The columns of a row are not in ascending order, or (where they must be unique) repeat.
    #[error("`{argument}` has {next} after {previous} in row {row}, expected {}", order(*unique))]
    Unsorted { argument: &'static str, row: usize, previous: i32, next: i32, unique: bool },
    /// Values that must not fall do.
    #[error(
        "`{argument}[{position}]` is less than the value before it, expected values that never fall in a row"
    )]
    Unordered { argument: &'static str, position: usize },
    /// A running top-K list did not come from the initial fill or an earlier call.
    #[error(
        "row {row} of `items` and `values` is not a running top-K list: start with -1 and -inf, \
         then pass back what the last call left"
    )]
    RunningList { row: usize },
    /// A coordinate of a point is NaN or infinite.
    #[error("`{argument}[{row}, {column}]` is {value}, expected a finite number")]
    Coordinate { argument: &'static str, row: usize, column: usize, value: f32 },
    /// The caller asked a long computation to stop.
    #[error("interrupted")]
    Interrupted,
    /// This process is a fork of too many forks to have threads of its own.
    #[error("this process is a fork of forks, {most} times over and more; start it anew, as `spawn` does")]
    Forks { most: usize },
    /// The threads that kernels run on cannot be started.
    #[error("no threads to compute with: {reason}")]
    Threads { reason: String },
    /// The environment asks for instructions that this processor lacks or that nobody knows.
    #[error(
        "the environment variable `{}` is \"{got}\", but this processor has {available}",
        crate::simd::VARIABLE
    )]
    Level { got: String, available: String },
    /// A setting lies outside its range.
    #[error("`{argument}` is {got}, expected {expected}")]
    Setting { argument: &'static str, got: String, expected: &'static str },
}

impl Error {
    /// [`Error::Setting`] of a value as it is written.
    pub(crate) fn setting(argument: &'static str, got: &dyn ToString, expected: &'static str) -> Self {
        Self::Setting { argument, got: got.to_string(), expected }
    }
}

/// Check how many entries `argument` has.
///
/// # Errors
/// [`Error::Length`] where they are not so many as expected.
pub(crate) fn expect_length(argument: &'static str, got: usize, expected: usize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Length { argument, got, expected }) }
}

fn order(unique: bool) -> &'static str {
    if unique { "ascending columns without repeats" } else { "ascending columns" }
}

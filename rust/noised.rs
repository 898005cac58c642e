//! Training batches `x_t`: rows of the sparse matrix, noised and thinned out as they are gathered.

#![expect(clippy::inline_always, reason = "only inlined is code compiled for its caller's instructions")]

use rayon::prelude::*;

use crate::csr::Sparse;
use crate::error::{Error, Result, expect_length};
use crate::noise::{CHUNK, RowNoise};
use crate::simd::{Level, PADDING, Vector, Work, with_vectors};

/// What is done to each row `x_0`: `x_t = signal * x_0 + spread * noise`, then unit length, then dropout.
#[derive(Debug, Clone, Copy)]
pub struct Noising<'a> {
    /// Factor of `x_0`, one for each row.
    pub signal: &'a [f32],
    /// Factor of the standard normal noise, one for each row.
    pub spread: &'a [f32],
    /// Whether to scale each `x_t` to unit length.
    pub normalize: bool,
    /// Share of the entries set to 0; the others grow to keep the mean.
    pub dropout: f32,
    /// What the noise depends on besides the row and the column.
    pub seed: u64,
    /// Number of the batch, on which the noise depends, too.
    pub step: u32,
    /// Numbers of the rows for the noise, where the matrix holds some rows of a larger one; None for its own numbers.
    pub keys: Option<&'a [i64]>,
    /// Number of the matrix's first column among those that noise is a function of: not 0 where the matrix is a block
    /// of a wider one's columns.
    pub first: usize,
}

/// A number format of batches.
pub trait Cell: Copy + Send + Sync {
    /// The nearest number of this format.
    fn nearest(value: f32) -> Self;
}

impl Cell for f32 {
    #[inline(always)]
    fn nearest(value: f32) -> Self {
        value
    }
}

/// The upper half of a float: 8 significant bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Cell for Bf16 {
    #[inline(always)]
    fn nearest(value: f32) -> Self {
        // Half of the last place, and one less where that place is even: ties go to even. What is too large becomes
        // infinite, as it does in hardware; NaN, which only infinite factors make, becomes anything.
        let bits = value.to_bits();
        Self((bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16) as u16)
    }
}

/// Write the rows of `matrix` that `rows` names, noised, into `out`, `(rows.len(), columns)` in C order.
///
/// A column stored twice in a row counts with the sum of its values. The noise of a cell depends on (seed, step, key of
/// its row, `first` + column) alone. After an error `out` may be partly written.
///
/// # Errors
/// [`Error::Length`] if the arrays do not go together, [`Error::Index`] for a row or column that does not exist,
/// [`Error::IndptrRow`] for a row that is no range of the stored entries, [`Error::Setting`] unless `dropout` lies in
/// [0, 1), [`Error::Level`] as [`Level::current`].
pub fn noised_rows<C: Cell>(
    matrix: &Sparse<'_>,
    rows: &[i64],
    noising: &Noising<'_>,
    out: &mut [C],
    columns: usize,
) -> Result<()> {
    expect_length("out", out.len(), rows.len() * columns)?;
    let indptr = matrix.indptr();
    for position in 0..rows.len() {
        indptr.range(indptr.row(rows, position)?)?;
    }
    let keys = noising.keys.unwrap_or(rows);
    expect_length("keys", keys.len(), rows.len())?;
    expect_length("signal", noising.signal.len(), rows.len())?;
    expect_length("spread", noising.spread.len(), rows.len())?;
    if !(0.0..1.0).contains(&noising.dropout) {
        return Err(Error::setting("dropout", &noising.dropout, "a number in [0, 1)"));
    }
    let level = Level::current()?;
    let (chunk, skip) = (noising.first / CHUNK, noising.first % CHUNK);
    let own = skip..skip + columns;
    let fill = |scratch: &mut Vec<f32>, (position, out): (usize, &mut [C])| -> Option<Error> {
        // Whole chunks: the noise is made by chunks.
        scratch.resize(own.end.next_multiple_of(CHUNK), 0.0);
        let noise = RowNoise::new(noising.seed, noising.step, keys[position]);
        let x_t = scratch.as_chunks_mut().0;
        with_vectors(level, Spread { noise, factor: noising.spread[position], chunk, x_t });
        if let Err(error) =
            add_row(matrix, rows[position], noising.signal[position], &mut scratch[own.clone()])
        {
            return Some(error);
        }
        scratch[..skip].fill(0.0);
        scratch[own.end..].fill(0.0);
        let mut factor = 1.0 / (1.0 - noising.dropout);
        if noising.normalize {
            let mut own = length(scratch.as_chunks().0);
            if !own.is_finite() {
                // Squares that are too large for single precision: a power of two rounds nothing.
                for x in &mut *scratch {
                    *x *= SHORTER;
                }
                own = length(scratch.as_chunks().0);
            }
            factor /= own.max(1e-12);
        }
        let x_t = scratch.as_chunks().0;
        with_vectors(level, ThinOut { noise, dropout: noising.dropout, factor, chunk, skip, x_t, out });
        None
    };
    let error = if columns == 0 {
        (0..rows.len()).find_map(|position| fill(&mut Vec::new(), (position, &mut [])))
    } else {
        out.par_chunks_mut(columns).enumerate().map_init(Vec::new, fill).find_map_first(|error| error)
    };
    error.map_or(Ok(()), Err)
}

/// Add `factor` times a row to a dense one.
fn add_row(matrix: &Sparse<'_>, row: i64, factor: f32, out: &mut [f32]) -> Result<()> {
    for entry in matrix.indptr().range(row as usize)? {
        let (column, value) = matrix.entry(entry, out.len())?;
        out[column] += factor * value;
    }
    Ok(())
}

/// What makes a row of any floats short enough for [`length`]: 2^-80.
const SHORTER: f32 = f32::from_bits((127 - 80) << 23);

/// Euclidean length of a row, infinite where a square is.
fn length(x_t: &[[f32; CHUNK]]) -> f32 {
    // Sums of short stretches: exact enough in single precision, and fast.
    let square = |chunk: &[f32; CHUNK]| {
        let mut sums = [0.0; 8];
        for eight in chunk.as_chunks::<8>().0 {
            for (sum, x) in sums.iter_mut().zip(eight) {
                *sum += x * x;
            }
        }
        f64::from(sums.iter().sum::<f32>())
    };
    x_t.iter().map(square).sum::<f64>().sqrt() as f32
}

/// Fill a row with noise.
struct Spread<'a> {
    noise: RowNoise,
    factor: f32,
    /// Number of the first chunk.
    chunk: usize,
    x_t: &'a mut [[f32; CHUNK]],
}

impl Work for Spread<'_> {
    type Output = ();
    const WIDEST: usize = PADDING;

    #[inline(always)]
    fn run<V: Vector>(self) {
        if self.factor == 0.0 {
            self.x_t.as_flattened_mut().fill(0.0);
            return;
        }
        for (number, chunk) in self.x_t.iter_mut().enumerate() {
            *chunk = self.noise.normals(self.chunk + number).map(|normal| self.factor * normal);
        }
    }
}

/// Scale a row, drop some of its entries, and write it in the format wanted.
struct ThinOut<'a, C> {
    noise: RowNoise,
    dropout: f32,
    factor: f32,
    /// Number of the first chunk.
    chunk: usize,
    /// Entries of it that come before the row.
    skip: usize,
    /// Whole chunks, of which the last may reach beyond the row.
    x_t: &'a [[f32; CHUNK]],
    out: &'a mut [C],
}

impl<C: Cell> Work for ThinOut<'_, C> {
    type Output = ();
    const WIDEST: usize = PADDING;

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { noise, dropout, factor, chunk, skip, x_t, mut out } = self;
        let thin_out = |number: usize, x_t: &[f32; CHUNK]| -> [C; CHUNK] {
            let factors = if dropout == 0.0 {
                [factor; CHUNK]
            } else {
                noise.choose(chunk + number, dropout, 0.0, factor)
            };
            let mut out = [C::nearest(0.0); CHUNK];
            for lane in 0..CHUNK {
                out[lane] = C::nearest(factors[lane] * x_t[lane]);
            }
            out
        };
        if skip > 0 {
            // A block of columns that begins within a chunk: every chunk by way of a copy.
            let mut skip = skip;
            for (number, x_t) in x_t.iter().enumerate() {
                let (now, later) = out.split_at_mut(out.len().min(CHUNK - skip));
                now.copy_from_slice(&thin_out(number, x_t)[skip..skip + now.len()]);
                (out, skip) = (later, 0);
            }
            return;
        }
        // Whole chunks have a known length, which is what makes their loops fast.
        let (whole, rest) = out.as_chunks_mut::<CHUNK>();
        for (number, (out, x_t)) in whole.iter_mut().zip(x_t).enumerate() {
            *out = thin_out(number, x_t);
        }
        if let Some(x_t) = x_t.get(whole.len()) {
            rest.copy_from_slice(&thin_out(whole.len(), x_t)[..rest.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal_rows;

    const INDPTR: [i64; 4] = [0, 2, 2, 4];
    // One is stored twice.
    const INDICES: [i32; 4] = [2, 0, 149, 149];
    const DATA: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
    const COLUMNS: usize = 150;
    const PLAIN: Noising<'_> = Noising {
        signal: &[0.5, 2.0, 1.0],
        spread: &[0.0, 0.1, 3.0],
        normalize: false,
        dropout: 0.0,
        seed: 4,
        step: 9,
        keys: None,
        first: 0,
    };

    fn noised<C: Cell>(rows: &[i64], noising: &Noising<'_>, columns: usize) -> Result<Vec<C>> {
        let matrix = Sparse::new(["indptr", "indices", "data"], &INDPTR, &INDICES, &DATA)?;
        let mut out = vec![C::nearest(9.0); rows.len() * columns];
        noised_rows(&matrix, rows, noising, &mut out, columns).map(|()| out)
    }

    /// Rows of noise in plain steps: gather, noise, scale.
    fn expected(rows: &[i64], noising: &Noising<'_>) -> Vec<f32> {
        let mut x = vec![0.0; rows.len() * COLUMNS];
        normal_rows(noising.seed, noising.step, rows, 0, COLUMNS, &mut x).expect("sizes agree");
        for (i, x) in x.chunks_mut(COLUMNS).enumerate() {
            for x in &mut *x {
                *x *= noising.spread[i];
            }
            let row = rows[i] as usize;
            for entry in INDPTR[row] as usize..INDPTR[row + 1] as usize {
                x[INDICES[entry] as usize] += noising.signal[i] * DATA[entry];
            }
        }
        x
    }

    #[test]
    fn is_the_forward_process() {
        let rows = [2, 1, 0];
        assert_eq!(noised::<f32>(&rows, &PLAIN, COLUMNS), Ok(expected(&rows, &PLAIN)));
    }

    #[test]
    fn noise_is_drawn_by_keys() {
        // Rows 2, 0 and 1 of a larger matrix, whose rows stand in another order here.
        let keyed = Noising { keys: Some(&[7, 1 << 40, 0]), ..PLAIN };
        let found = noised::<f32>(&[2, 0, 1], &keyed, COLUMNS).expect("sound");
        let mut noise = vec![0.0; 3 * COLUMNS];
        normal_rows(PLAIN.seed, PLAIN.step, &[7, 1 << 40, 0], 0, COLUMNS, &mut noise).expect("sizes agree");
        // Where nothing is stored there is noise alone; row 1 is empty.
        assert_eq!(found[COLUMNS + 1], PLAIN.spread[1] * noise[COLUMNS + 1]);
        for column in 0..COLUMNS {
            assert_eq!(found[2 * COLUMNS + column], PLAIN.spread[2] * noise[2 * COLUMNS + column]);
        }
    }

    #[test]
    fn unit_length_comes_before_dropout() {
        let rows = [2, 0, 1];
        let found = noised::<f32>(&rows, &Noising { normalize: true, ..PLAIN }, COLUMNS).expect("sound");
        for (found, plain) in found.chunks(COLUMNS).zip(expected(&rows, &PLAIN).chunks(COLUMNS)) {
            let length = plain.iter().map(|x| x * x).sum::<f32>().sqrt();
            for (found, plain) in found.iter().zip(plain) {
                assert!((found - plain / length).abs() < 1e-6);
            }
        }
        // Also where the squares are beyond single precision.
        for scale in [1e19, 1e25, 3e37] {
            let large = Noising { normalize: true, spread: &[0.0], signal: &[scale], ..PLAIN };
            let found = noised::<f32>(&[0], &large, COLUMNS).expect("sound");
            let root = 5.0_f32.sqrt().recip();
            assert!(
                (found[2] - root).abs() < 1e-6 && (found[0] - 2.0 * root).abs() < 1e-6,
                "{scale} {found:?}"
            );
        }
        // A row of zeros stays one.
        let nothing = Noising { normalize: true, spread: &[0.0], signal: &[1.0], ..PLAIN };
        assert_eq!(noised::<f32>(&[1], &nothing, COLUMNS), Ok(vec![0.0; COLUMNS]));
    }

    #[test]
    fn dropout_keeps_the_mean() {
        let signal = [0.0; 300];
        let rows = [0; 300];
        let thinned = Noising { signal: &signal, spread: &[1.0; 300], dropout: 0.75, ..PLAIN };
        let (kept, whole) = (
            noised::<f32>(&rows[..1], &Noising { signal: &[0.0], spread: &[1.0], ..thinned }, COLUMNS),
            expected(&rows[..1], &thinned),
        );
        let kept = kept.expect("sound");
        assert!(
            kept.iter().zip(&whole).all(|(&kept, &whole)| kept == 0.0 || (kept - 4.0 * whole).abs() < 1e-5)
        );
        let zeros = kept.iter().filter(|&&x| x == 0.0).count();
        assert!((90..135).contains(&zeros), "{zeros}");
    }

    #[test]
    fn blocks_of_columns_are_those_of_the_whole() {
        let settings = Noising { dropout: 0.4, signal: &[0.5], spread: &[0.7], ..PLAIN };
        let whole = noised::<f32>(&[2], &settings, COLUMNS).expect("sound");
        for (first, width) in [(0, 10), (5, 40), (60, 90), (64, 86), (149, 1), (128, 22), (40, 0)] {
            // The block's own entries: row 2 has column 149, twice.
            let stored = if first + width > 149 { 2 } else { 0 };
            let (indptr, indices) = ([0, 0, 0, stored], [149 - first as i32; 2]);
            let data = &DATA[2..];
            let (indices, data) = (&indices[..stored as usize], &data[..stored as usize]);
            let block = Sparse::new(["indptr", "indices", "data"], &indptr, indices, data).expect("sound");
            let mut out = vec![9.0; width];
            noised_rows(&block, &[2], &Noising { first, ..settings }, &mut out, width).expect("sound");
            assert_eq!(out, whole[first..first + width], "{first} {width}");
        }
    }

    #[test]
    fn half_floats_are_the_nearest() {
        for (value, expected) in [
            (1.0, 0x3F80),
            (1.0 + 0.5 / 128.0, 0x3F80),
            (1.0 + 1.5 / 128.0, 0x3F82),
            (-0.0, 0x8000),
            (1.01, 0x3F81),
        ] {
            assert_eq!(Bf16::nearest(value), Bf16(expected), "{value}");
        }
        let wide = noised::<f32>(&[2, 0, 1], &PLAIN, COLUMNS).expect("sound");
        let narrow = noised::<Bf16>(&[2, 0, 1], &PLAIN, COLUMNS).expect("sound");
        assert!(narrow.iter().zip(wide).all(|(&narrow, wide)| narrow == Bf16::nearest(wide)));
    }

    #[test]
    fn broken_promises() {
        let wrong = |noising: &Noising<'_>, rows: &[i64], columns| noised::<f32>(rows, noising, columns);
        let error = |argument, got, expected| Err(Error::Length { argument, got, expected });
        assert_eq!(wrong(&PLAIN, &[0], 150), error("signal", 3, 1));
        assert_eq!(wrong(&Noising { spread: &[], ..PLAIN }, &[0, 0, 0], 150), error("spread", 0, 3));
        assert_eq!(wrong(&Noising { keys: Some(&[1]), ..PLAIN }, &[0, 0, 0], 150), error("keys", 1, 3));
        for dropout in [1.0, -0.1, f32::NAN] {
            let found = wrong(&Noising { dropout, ..PLAIN }, &[0, 0, 0], 150);
            assert!(matches!(found, Err(Error::Setting { argument: "dropout", .. })), "{found:?}");
        }
        assert!(matches!(
            wrong(&PLAIN, &[0, 3, 0], 150),
            Err(Error::Index { argument: "rows", value: 3, .. })
        ));
        for columns in [0, 149] {
            let found = wrong(&PLAIN, &[1, 2, 1], columns);
            assert!(matches!(found, Err(Error::Index { argument: "indices", .. })), "{found:?}");
        }
    }
}

//! The two inner loops of k-means, once per instruction set, chosen when the program runs.
//!
//! A panel holds [`Level::width`] points side by side, coordinate by coordinate, so that each vector lane follows one
//! point: the distances to a tile of [`TILE`] centroids build up in registers, and the smallest is kept there too. The
//! matrix of distances is never written. Every lane adds its terms in the order of the coordinates whatever the width,
//! so a pair of point and centroid gives the same bits wherever it stands in a panel or a tile, and on all
//! instruction sets with a fused multiply-add.

use crate::simd::{Isa, Level};

/// Centroids per tile. With the widest panel that makes 16 running sums: enough to hide the latency of a fused
/// multiply-add, few enough to stay in registers, and little waste for small k.
pub(super) const TILE: usize = 4;

/// Floats in a cache line.
pub(super) const LINE: usize = 16;

/// The widest panel of any level.
pub(super) const MAX_WIDTH: usize = 64;

/// For each point of a panel: the lowest score, the second lowest, and where in the tiles the lowest stands.
pub(super) struct Nearest {
    pub(super) best: [f32; MAX_WIDTH],
    pub(super) second: [f32; MAX_WIDTH],
    pub(super) position: [u32; MAX_WIDTH],
}

impl Nearest {
    pub(super) fn new() -> Self {
        Self {
            best: [f32::INFINITY; MAX_WIDTH],
            second: [f32::INFINITY; MAX_WIDTH],
            position: [0; MAX_WIDTH],
        }
    }
}

/// The means to multiply numbers of 8 significant bits, with [`nearest`](Self::nearest) at twice the speed.
///
/// Panels and tiles hold two such numbers per float, the earlier coordinate in the lower half.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rough(RoughIsa);

#[derive(Debug, Clone, Copy)]
enum RoughIsa {
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

impl Rough {
    /// Only where this processor has them, and for the level whose panels have the same width.
    pub(super) fn detect(level: Level) -> Option<Self> {
        match level.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if is_x86_feature_detected!("avx512bf16") => Some(Self(RoughIsa::Avx512Bf16)),
            _ => None,
        }
    }

    /// As [`Level::nearest`], for centroids with turned signs.
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "no other has it"))]
    pub(super) fn nearest(
        self,
        panel: &[f32],
        next: &[f32],
        tiles: &[f32],
        bias: &[f32],
        near: &mut Nearest,
    ) {
        match self.0 {
            // SAFETY: this is made only after the processor reported AVX-512F and AVX-512 BF16.
            #[cfg(target_arch = "x86_64")]
            RoughIsa::Avx512Bf16 => unsafe { bf16::nearest(panel, next, tiles, bias, near) },
        }
    }
}

impl Level {
    /// Points in a panel: a divisor of [`super::points::CHUNK`] and a multiple of 8.
    pub(super) fn width(self) -> usize {
        match self.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::WIDTH,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::WIDTH,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => neon::WIDTH,
            Isa::Scalar => scalar::WIDTH,
        }
    }

    /// Score a panel (d x width) against tiles (each d x [`TILE`]): `bias - x.c`, the lowest two and the first
    /// position of the lowest. `next`, the panel that comes after it or nothing, is fetched meanwhile.
    pub(super) fn nearest(
        self,
        panel: &[f32],
        next: &[f32],
        tiles: &[f32],
        bias: &[f32],
        near: &mut Nearest,
    ) {
        match self.isa() {
            // SAFETY: this level is made only after the processor reported AVX-512F.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::nearest(panel, next, tiles, bias, near) },
            // SAFETY: this level is made only after the processor reported AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::nearest(panel, next, tiles, bias, near) },
            // SAFETY: this level is made only after the processor reported NEON.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon::nearest(panel, next, tiles, bias, near) },
            Isa::Scalar => scalar::nearest(panel, next, tiles, bias, near),
        }
    }

    /// Squared distances of a panel (d x width) to one tile (d x [`TILE`]), into `out` ([`TILE`] x width).
    ///
    /// Twice the work of [`nearest`](Self::nearest), but exactly 0 between equal points.
    pub(super) fn squared_distances(self, panel: &[f32], tile: &[f32], out: &mut [f32]) {
        match self.isa() {
            // SAFETY: this level is made only after the processor reported AVX-512F.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::squared_distances(panel, tile, out) },
            // SAFETY: this level is made only after the processor reported AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::squared_distances(panel, tile, out) },
            // SAFETY: this level is made only after the processor reported NEON.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon::squared_distances(panel, tile, out) },
            Isa::Scalar => scalar::squared_distances(panel, tile, out),
        }
    }
}

/// Ask for the cache line of the first of some values that will soon be read: into the first-level cache if `FIRST`,
/// else into the second.
#[inline]
pub(super) fn prefetch<const FIRST: bool>(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        let address = values.as_ptr().cast();
        // SAFETY: a prefetch reads nothing and cannot fault; SSE, which it needs, belongs to every x86-64 processor.
        unsafe {
            if FIRST { _mm_prefetch::<_MM_HINT_T0>(address) } else { _mm_prefetch::<_MM_HINT_T1>(address) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Write the kernel in terms of the vector operations of the surrounding module.
macro_rules! nearest {
    ($(#[$feature:meta])*) => {
        pub(super) const WIDTH: usize = VECTORS * LANES;

        $(#[$feature])*
        pub(super) fn nearest(panel: &[f32], next: &[f32], tiles: &[f32], bias: &[f32], near: &mut Nearest) {
            let depth = panel.len() / WIDTH;
            let mut best = [splat(f32::INFINITY); VECTORS];
            let mut second = best;
            // Positions ride through the blends as bit patterns; no arithmetic touches them.
            let mut position = [splat(f32::from_bits(0)); VECTORS];
            let mut current = 0;
            let tiles = tiles.chunks_exact(depth * TILE).zip(bias.chunks_exact(TILE));
            for (turn, (tile, bias)) in tiles.enumerate() {
                let mut sums = [[splat(0.0); VECTORS]; TILE];
                for (sums, &bias) in sums.iter_mut().zip(bias) {
                    *sums = [splat(bias); VECTORS];
                }
                let coordinates = panel.chunks_exact(WIDTH).zip(tile.as_chunks::<TILE>().0);
                for (j, (points, centroids)) in coordinates.enumerate() {
                    if turn < VECTORS && let Some(soon) = next.get(j * WIDTH + turn * LANES..) {
                        prefetch::<false>(soon);
                    }
                    let mut x = [splat(0.0); VECTORS];
                    for (x, points) in x.iter_mut().zip(points.as_chunks::<LANES>().0) {
                        *x = load(points);
                    }
                    for (sums, &centroid) in sums.iter_mut().zip(centroids) {
                        let c = splat(centroid);
                        for (sum, &x) in sums.iter_mut().zip(&x) {
                            *sum = subtract_product(*sum, c, x);
                        }
                    }
                }
                for sums in &sums {
                    let here = splat(f32::from_bits(current));
                    current += 1;
                    for v in 0..VECTORS {
                        let score = sums[v];
                        position[v] = where_less(score, best[v], here, position[v]);
                        second[v] = min(second[v], max(score, best[v]));
                        best[v] = min(score, best[v]);
                    }
                }
            }
            let mut bits = [0.0; MAX_WIDTH];
            for v in 0..VECTORS {
                store(best[v], &mut near.best.as_chunks_mut::<LANES>().0[v]);
                store(second[v], &mut near.second.as_chunks_mut::<LANES>().0[v]);
                store(position[v], &mut bits.as_chunks_mut::<LANES>().0[v]);
            }
            near.position = bits.map(f32::to_bits);
        }
    };
}

/// The other kernel, in the same terms.
macro_rules! squared_distances {
    ($(#[$feature:meta])*) => {
        $(#[$feature])*
        pub(super) fn squared_distances(panel: &[f32], tile: &[f32], out: &mut [f32]) {
            let mut sums = [[splat(0.0); VECTORS]; TILE];
            for (points, centroids) in panel.chunks_exact(WIDTH).zip(tile.as_chunks::<TILE>().0) {
                let mut x = [splat(0.0); VECTORS];
                for (x, points) in x.iter_mut().zip(points.as_chunks::<LANES>().0) {
                    *x = load(points);
                }
                for (sums, &centroid) in sums.iter_mut().zip(centroids) {
                    let c = splat(centroid);
                    for (sum, &x) in sums.iter_mut().zip(&x) {
                        let difference = subtract(x, c);
                        *sum = add_product(*sum, difference, difference);
                    }
                }
            }
            let lanes = out.as_chunks_mut::<LANES>().0;
            for (out, sum) in lanes.iter_mut().zip(sums.as_flattened()) {
                store(*sum, out);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod bf16;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed);
        (0..count).map(|_| random.unit() as f32 - 0.5).collect()
    }

    /// Entry (row, column) of a matrix that is laid out in panels or tiles of `width` rows.
    fn entry(laid_out: &[f32], dim: usize, width: usize, row: usize, column: usize) -> f32 {
        laid_out[(row / width * dim + column) * width + row % width]
    }

    #[test]
    fn finds_the_lowest_two_scores() {
        for (level, dim, tiles) in
            Level::available().into_iter().flat_map(|level| [(level, 1, 1), (level, 7, 3), (level, 64, 9)])
        {
            let width = level.width();
            let (panel, centroids) = (numbers(dim * width, 1), numbers(dim * TILE * tiles, 2));
            let bias = numbers(TILE * tiles, 3);
            let mut near = Nearest::new();
            level.nearest(&panel, &panel, &centroids, &bias, &mut near);
            for lane in 0..width {
                let score = |c: usize| {
                    let product = |j| {
                        f64::from(entry(&panel, dim, width, lane, j))
                            * f64::from(entry(&centroids, dim, TILE, c, j))
                    };
                    f64::from(bias[c]) - (0..dim).map(product).sum::<f64>()
                };
                let mut scores: Vec<(f64, usize)> = (0..bias.len()).map(|c| (score(c), c)).collect();
                scores.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert_eq!(near.position[lane] as usize, scores[0].1, "{level:?}");
                assert!((f64::from(near.best[lane]) - scores[0].0).abs() < 1e-5);
                assert!((f64::from(near.second[lane]) - scores[1].0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_first_of_equal_scores_wins() {
        for level in Level::available() {
            let panel = vec![0.0; level.width()];
            let mut near = Nearest::new();
            level.nearest(&panel, &[], &[0.0; 8], &[2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 9.0, 1.0], &mut near);
            for lane in 0..level.width() {
                let found = (near.position[lane], near.best[lane], near.second[lane]);
                assert_eq!(found, (1, 1.0, 1.0), "{level:?}");
            }
            level.nearest(&panel, &[], &[], &[], &mut near);
            assert_eq!((near.best[0], near.second[0]), (f32::INFINITY, f32::INFINITY));
        }
    }

    /// The bits of a pair depend neither on where it stands nor on the width of the fused multiply-adds.
    #[test]
    fn a_pair_has_one_score() {
        let dim = 33;
        let (x, c) = (numbers(dim, 4), numbers(dim, 5));
        let mut expected = None;
        for level in Level::available() {
            let width = level.width();
            let panel: Vec<f32> = x.iter().flat_map(|&x| vec![x; width]).collect();
            let tile: Vec<f32> = c.iter().flat_map(|&c| [c; TILE]).collect();
            let mut near = Nearest::new();
            for position in 0..TILE {
                let mut bias = [f32::INFINITY; TILE];
                bias[position] = 0.25;
                level.nearest(&panel, &[], &tile, &bias, &mut near);
                let first = near.best[0].to_bits();
                assert!(near.best[..width].iter().all(|best| best.to_bits() == first));
                if level.isa() != Isa::Scalar {
                    assert_eq!(*expected.get_or_insert(first), first, "{level:?} {position}");
                }
            }
        }
    }

    #[test]
    fn distances_are_squared_and_exactly_zero_between_equals() {
        for (level, dim) in Level::available().into_iter().flat_map(|level| [(level, 1), (level, 19)]) {
            let width = level.width();
            let (panel, mut tile) = (numbers(dim * width, 6), numbers(dim * TILE, 7));
            for j in 0..dim {
                tile[j * TILE + 2] = panel[j * width + 3];
            }
            let mut out = vec![f32::NAN; TILE * width];
            level.squared_distances(&panel, &tile, &mut out);
            for (i, &got) in out.iter().enumerate() {
                let (c, lane) = (i / width, i % width);
                let difference = |j| {
                    f64::from(entry(&panel, dim, width, lane, j)) - f64::from(entry(&tile, dim, TILE, c, j))
                };
                let expected: f64 = (0..dim).map(|j| difference(j) * difference(j)).sum();
                assert!((f64::from(got) - expected).abs() < 1e-5, "{level:?} {c} {lane}");
            }
            assert_eq!(out[2 * width + 3].to_bits(), 0);
        }
    }

    #[test]
    fn widths_fit_chunks_and_sums() {
        for level in Level::available() {
            assert_eq!((super::super::points::CHUNK % level.width(), level.width() % 8), (0, 0));
            assert!(level.width() <= MAX_WIDTH);
        }
    }
}

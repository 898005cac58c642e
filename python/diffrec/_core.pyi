"""Kernels over NumPy arrays, written in Rust.

Every function checks what it is given, raises ``ValueError`` naming the argument and the offending value, releases
the GIL while it works and returns the same bits for any number of threads (``RAYON_NUM_THREADS`` sets it). Arrays are
C-contiguous and of exactly the dtype stated (another is a ``TypeError``); one that is written in place shares memory
with no other argument. What an error leaves in such an array is not defined.

A sparse matrix is passed as the tuple of its CSR arrays: ``indptr`` (int64), ``indices`` (int32, columns sorted within
a row) and ``data`` (float32). Errors name such an array by itself or, where a function takes several matrices, with its
matrix: ``left.indices``.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "__version__",
    "als_solve",
    "als_whiten",
    "check_csr",
    "coverage",
    "draw_cuts",
    "kmeans",
    "multiplies_bfloat16",
    "nearest_items",
    "negative_items",
    "next_items",
    "noised_rows",
    "normal_rows",
    "pair_sums",
    "prefix_rows",
    "ranking_metrics",
    "simd_level",
    "simd_levels",
    "sparse_dense_product",
    "sparse_product",
    "threads",
    "time_weights",
    "top_k",
]

__version__: str

#: ``indptr``, ``indices`` and ``data``.
_Csr = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]

def simd_level() -> str:
    """Name of the instruction set in use: the fastest of ``simd_levels()``, or the one ``DIFFREC_SIMD`` names.

    The environment variable is read once; where it names another, importing this module raises ``ImportError``.
    """

def simd_levels() -> list[str]:
    """Names of the instruction sets this processor has, fastest first: of avx512, avx2, neon and, always, scalar.

    ``top_k`` gives the same bits on all of them; ``als_solve`` and ``kmeans`` differ by rounding.
    """

def threads() -> int:
    """Number of threads the kernels share: that of the processor's cores, or what ``RAYON_NUM_THREADS`` says."""

def check_csr(
    matrix: tuple[NDArray[np.int64], NDArray[np.int32] | NDArray[np.int64], NDArray[np.float32] | NDArray[np.float64]],
    shape: tuple[int, int],
) -> None:
    """Raise ``ValueError`` unless the arrays form a CSR matrix of non-negative finite values.

    ``indptr`` must start at 0, never fall, hold rows + 1 entries and end at ``len(indices) == len(data)``; column
    indices must lie in ``[0, columns)``. Columns may be unsorted or repeated here.
    """

def noised_rows(
    matrix: _Csr,
    rows: NDArray[np.int64],
    signal: NDArray[np.float32],
    spread: NDArray[np.float32],
    out: NDArray[np.float32] | NDArray[np.uint16],
    *,
    normalize: bool,
    dropout: float,
    seed: int,
    step: int,
    keys: NDArray[np.int64] | None = None,
    first: int | None = None,
) -> None:
    """Write ``signal[i] * X[rows[i]] + spread[i] * noise`` into ``out[i]``, scaled to unit length if ``normalize``.

    X is ``matrix``; repeated columns of a row add up. Then a share ``dropout`` of the entries is set to 0 and the
    others divided by ``1 - dropout``. The noise is ``normal_rows(seed, step, keys, first, ...)``, keys being
    the rows unless they are given, one for each; X may be a block of a wider matrix's columns, of which ``first`` come
    before it. ``out`` is (len(rows), columns), float32, or uint16 for the bits of bfloat16.
    """

def normal_rows(seed: int, step: int, rows: NDArray[np.int64], first: int, out: NDArray[np.float32]) -> None:
    """Write standard normal noise into ``out`` (len(rows), m), for columns ``first : first + m``.

    A number depends only on ``seed``, ``step``, ``rows[i]`` and its column.
    """

def time_weights(
    indptr: NDArray[np.int64],
    timestamps: NDArray[np.float64],
    kind: Literal["linear", "exponential", "power"],
    w_min: float,
    w_max: float,
    half_life: float,
    *,
    clock: bool = False,
) -> NDArray[np.float32]:
    """Weigh each interaction by its age within its user's history, in the order of ``timestamps``.

    The age of an interaction is the number of the user's newer baskets (distinct times) or, with ``clock``, the time
    that passed until the user's newest one. ``"linear"`` (T-DiffRec, eq. 11): ``w_max`` at age 0 down to ``w_min`` at
    the largest age, that of the oldest basket (with ``clock`` the user's whole span); a lone interaction gets
    ``w_min``, as in the authors' code.
    ``"exponential"``: ``w_min + (w_max - w_min) * 2 ** (-age / half_life)``; ``"power"``: ``w_min + (w_max - w_min) /
    (1 + age / half_life)``; ``half_life`` is ignored by ``"linear"``. Timestamps must be finite; the order in which a
    row is stored does not matter.
    """

def draw_cuts(
    indptr: NDArray[np.int64],
    baskets: NDArray[np.int32],
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    most: int,
    seed: int,
    step: int,
) -> NDArray[np.int64]:
    """Draw for each of ``rows`` how many of its events come before a cut.

    ``baskets`` numbers each user's baskets (events at one time) from 0, in the order of time. A history with m places
    between baskets has ``min(most, m)`` cuts, of which ``places`` names one for each row: evenly spaced from a
    beginning that is drawn for the user, so that no two are the same and all places are as likely. A history of one
    basket or none is not cut: everything comes before, at place 0. A cut depends on ``seed``, ``step``, user and place
    alone.
    """

def prefix_rows(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    baskets: NDArray[np.int32],
    times: NDArray[np.float64],
    n_items: int,
    rows: NDArray[np.int64],
    cuts: NDArray[np.int64],
    scales: Sequence[tuple[Literal["interactions", "seconds", "even", "had", "often", "ago", "due", "usual"], float]],
    *,
    repeats: bool = False,
    now: float | None = None,
    intervals: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The first ``cuts[i]`` events of row ``rows[i]`` on each scale: ``indptr``, ``indices`` and ``data``.

    ``items``, ``baskets`` (numbered from 0 in each row) and ``times`` are in the order of time within a row; a cut lies
    between two baskets. Scale s has the columns from ``s * n_items``; its values are ``exp(-age / length)`` where age
    is the number of newer baskets or the time to ``now`` (the newest event before the cut by default, and never before
    it), or 1 / sqrt(cut) if ``"even"``. With ``repeats`` an item may stand in a row more than once, and these values
    are summed.

    The other kinds are of an item as a whole: ``"had"`` is 1, ``"often"`` ln(1 + baskets with it), ``"ago"``
    1 / (1 + baskets newer than its newest), and ``"due"`` r / (1 + r), r being the time since its newest as a multiple
    of the mean time between its baskets, or 0 where there is one. ``"usual"`` is the same with ``intervals``, one for
    each of the items and above 0, in the place of that mean. They and ``"even"`` ignore the length. Values below 1e-4
    are left out; within a row and scale the newest comes first.
    """

def next_items(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    baskets: NDArray[np.int32],
    n_items: int,
    rows: NDArray[np.int64],
    cuts: NDArray[np.int64],
    horizon: int,
    *,
    repeats: bool = False,
    fresh: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The items that follow the first ``cuts[i]`` of row ``rows[i]``: where each list starts, items.

    Whole baskets are taken, the next one first, until there are at least ``horizon`` items. With ``repeats`` an item
    may stand in a row more than once: it counts once and, with ``fresh``, only where it did not come before the cut.
    """

def top_k(
    scores: NDArray[np.float32],
    first_item: int,
    seen: _Csr,
    rows: NDArray[np.int64],
    denied: NDArray[np.bool_] | None,
    items: NDArray[np.int32],
    values: NDArray[np.float32],
) -> None:
    """Merge a block of scores into running top-K lists.

    ``scores`` (n, m) holds the scores of items ``first_item .. first_item + m``; row i leaves out the items of row
    ``rows[i]`` of the seen matrix and every item with ``denied[item]``. ``items`` (n, k) and ``values`` (n, k) hold the
    best so far and are updated in place: score descending, then item ascending (-0.0 and 0.0 tie), whatever the
    blocks and their order; start them with -1 and -inf. Fewer than k candidates leave -1 and -inf at the end. A score
    of -inf is never a candidate; NaN raises ``ValueError`` unless the item is seen or denied anyway. Columns
    of ``seen`` ascend within a row; ``denied`` covers at least the items up to the end of the block.
    """

def negative_items(
    matrix: _Csr,
    n_items: int,
    rows: NDArray[np.int64],
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """Draw for each of ``rows`` an item uniformly from those its row of the matrix lacks; -1 where it lacks none.

    The draw at a position depends on ``seed``, ``epoch`` and the position alone. Columns must be sorted and distinct
    within a row.
    """

def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions that multiply bfloat16 numbers, at twice the speed of float32 or more."""

def nearest_items(
    matrix: _Csr,
    right: NDArray[np.float32],
    n_items: int,
    k: int,
    *,
    itself: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The ``k`` greatest entries of each row of ``L.T @ R``, as ``indptr``, ``indices`` (sorted) and ``data``.

    L is ``matrix``, users x items, and R has the same pattern and the values ``right``. Of equal entries the first are
    kept; entries of 0 are not, nor, without ``itself``, the diagonal.
    """

def pair_sums(matrix: _Csr, right: NDArray[np.float32], n_items: int, ranked: NDArray[np.int32]) -> NDArray[np.float64]:
    """Sum the entries of ``L.T @ R`` between the item of each place of lists and those before it, (n, length).

    L and R are as for ``nearest_items``. ``ranked`` (n, length) holds items, and -1 where a list is short. An item's
    row of the product is formed once, in whatever number of lists it stands.
    """

def sparse_product(
    left: _Csr,
    right: _Csr,
    first_column: int,
    out: NDArray[np.float32],
) -> None:
    """Write columns ``first_column : first_column + m`` of ``left @ right`` into ``out``, C-contiguous (n, m).

    Columns must be sorted within each row of ``right``; only the rows that ``left`` names are read, and checked.
    """

def sparse_dense_product(
    left: _Csr,
    right: NDArray[np.float32],
    first_column: int,
    out: NDArray[np.float32],
) -> None:
    """Do what ``sparse_product`` does with a dense, C-contiguous ``right``."""

def als_whiten(factors: NDArray[np.float32], l2: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Prepare the fixed side's factors Y (n, width) of an alternating least squares step for ``als_solve``.

    Returns the rows of Y in the coordinates in which Y.T @ Y + l2 * I is the identity, padded with zeros to a multiple
    of 16, and the matrix (width, width) that leads back. ``l2`` must be above 0.
    """

def als_solve(
    matrix: _Csr,
    whitened: NDArray[np.float32],
    back: NDArray[np.float32],
    alpha: float,
    cg_steps: int | None = None,
) -> tuple[NDArray[np.float32], float]:
    """Least-squares factors (rows, width) of each row of a matrix, and what they leave of the objective.

    Row x minimises the sum over all columns i of ``c_i * (p_i - x @ y_i) ** 2``, plus ``l2 * x @ x``, where c is
    ``alpha`` times the value and p is 1 for stored entries, and c is 1 and p is 0 for the others; where a value is
    below 0, c is ``alpha`` times its size and p is 0. Solved exactly, or by ``cg_steps`` of conjugate gradients from 0.
    A ``ValueError`` says that values or factors are too large for a finite solution.
    """

def kmeans(
    points: NDArray[np.float32],
    k: int,
    n_init: int,
    max_iter: int,
    tol: float,
    balance: float | None,
    seed: int,
    init: NDArray[np.float32] | None,
) -> tuple[NDArray[np.int32], NDArray[np.float32], float, int]:
    """Labels (n,), centroids (k, d), inertia and iterations of k-means over C-contiguous ``points`` (n, d).

    From ``init`` (k, d), or else the best of ``n_init`` starts by k-means++. At most ``max_iter`` iterations, until
    the squared steps of the centroids add up to at most ``tol`` times the mean variance of a coordinate. No group has
    more than ``balance`` times the mean size, rounded down, but every one may have the mean size rounded up. A signal
    whose handler raises, such as Ctrl-C, stops it.
    """

def ranking_metrics(
    ranked: NDArray[np.int32],
    relevant: _Csr,
    k: Sequence[int],
) -> NDArray[np.float64]:
    """Per-user metrics (6, len(k), users) of ranked lists (users, length), -1 where a list is short.

    In order: precision = hits / k, recall = hits / |relevant|, recall_truncated = hits / min(k, |relevant|), ndcg with
    binary gains and the ideal list cut at k, mrr = 1 / rank of the first hit within k (0 without), hit rate. NaN for a
    user without relevant items. ``k`` values lie in [1, length]; columns of ``relevant`` ascend strictly within a
    row, from 0 or more; an item that stands in a list twice counts twice.
    """

def coverage(ranked: NDArray[np.int32], n_items: int, k: Sequence[int]) -> NDArray[np.float64]:
    """Share of the ``n_items`` items that stand in the first k of some list of ``ranked``, one value per k."""

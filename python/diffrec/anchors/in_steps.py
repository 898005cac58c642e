"""Large systems of equations solved in steps of a fraction of a second each: Ctrl-C is heard in between.

LAPACK's own way takes minutes for 20,000 equations, in one call. The work is the same, block by block of columns, and
most of it is products of matrices, so that it takes no longer. Up to ``AT_ONCE`` equations LAPACK does it.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

# Equations up to which LAPACK takes less than a second on one core; beyond, columns and rows that are handled at once.
AT_ONCE, _COLUMNS, _ROWS = 2_500, 256, 1024


def factor(matrix: Tensor) -> bool:
    """Put the Cholesky factor L of a symmetric matrix in its place, ``matrix = L L'``; whether there is one.

    Only the lower triangle is read, and that of the result is to be.
    """
    n = len(matrix)
    if n <= AT_ONCE:
        lower, failed = torch.linalg.cholesky_ex(matrix)
        matrix.copy_(lower)
        return not int(failed)
    for start, stop in _parts(0, n, _COLUMNS):
        pivot, failed = torch.linalg.cholesky_ex(matrix[start:stop, start:stop].tril())
        if int(failed):
            return False
        matrix[start:stop, start:stop] = pivot
        below = torch.linalg.solve_triangular(pivot.T, matrix[stop:, start:stop], upper=True, left=False)
        matrix[stop:, start:stop] = below
        for first, last in _parts(stop, n, _ROWS):
            matrix[first:last, stop:last].addmm_(below[first - stop : last - stop], below[: last - stop].T, alpha=-1)
    return True


def solve(lower: Tensor, right: Tensor) -> None:
    """Put ``(L L')^-1 right`` in the place of ``right``, (n, columns)."""
    n = len(lower)
    if n <= AT_ONCE:
        right.copy_(torch.cholesky_solve(right, lower))
        return
    parts = list(_parts(0, n, _COLUMNS))
    for start, stop in parts:
        known = torch.linalg.solve_triangular(lower[start:stop, start:stop], right[start:stop], upper=False)
        right[start:stop] = known
        for first, last in _parts(stop, n, _ROWS):
            right[first:last].addmm_(lower[first:last, start:stop], known, alpha=-1)
    for start, stop in reversed(parts):
        known = torch.linalg.solve_triangular(lower[start:stop, start:stop].T, right[start:stop], upper=True)
        right[start:stop] = known
        for first, last in _parts(0, start, _ROWS):
            right[first:last].addmm_(lower[start:stop, first:last].T, known, alpha=-1)


def inverse(lower: Tensor) -> Tensor:
    """``(L L')^-1``, whole."""
    n = len(lower)
    if n <= AT_ONCE:
        return torch.cholesky_inverse(lower)
    whole = torch.empty_like(lower)
    for start, stop in _parts(0, n, _COLUMNS):
        # Column j of the inverse, from row j on, is a matter of L from row and column j on.
        columns = torch.eye(n - start, stop - start, dtype=lower.dtype)
        solve(lower[start:, start:], columns)
        whole[start:, start:stop] = columns
        whole[start:stop, stop:] = columns[stop - start :].T
    return whole


def _parts(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    return ((at, min(at + size, end)) for at in range(start, end, size))

"""Whether a difference is more than luck: a paired bootstrap over the users."""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
CONFIDENCE = 0.95
# Draws held at once while resampling.
_DRAWS = 1 << 22


def bootstrap_interval(
    differences: NDArray[np.float64], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of paired differences, and the percentile interval of its bootstrap distribution.

    Parameters
    ----------
    differences : float64 (users,)
        One per user.
    resamples : int
        Bootstrap samples.
    confidence : float
        Share of the resampled means the interval holds.
    seed : int
        Of the draws.

    Returns
    -------
    tuple of float
        Mean, low end, high end.

    Examples
    --------
    >>> bootstrap_interval(np.zeros(10))
    (0.0, 0.0, 0.0)
    """
    n = len(differences)
    rng = np.random.default_rng(seed)
    at_once = max(1, _DRAWS // n)
    means = [
        differences[rng.integers(n, size=(min(at_once, resamples - start), n))].mean(axis=1)
        for start in range(0, resamples, at_once)
    ]
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return float(differences.mean()), float(low), float(high)

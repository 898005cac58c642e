"""The anchor of a diffusion recommender: made of the same vectors that its denoiser sees."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from diffrec.anchors import Ridge
from diffrec.data import Csr, Timeline

if TYPE_CHECKING:
    from diffrec.recommenders.diffrec_settings import DiffRecSettings

# Cut histories the forecast's equations are made of, at most: more hardly change them.
_MOST_ROWS = 500_000
# Cuts whose vectors are made at once.
_ROWS_AT_ONCE = 50_000
# Weights that are tried for an anchor that was not trained along with the denoiser.
SCALES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


def anchor_equations(s: "DiffRecSettings", inputs: "Csr | Timeline") -> Ridge:
    """The equations of the anchor, to be solved for ``anchor_l2``.

    Vectors x_0 (users, items) are mapped to themselves, views of cut histories to the items that followed.
    """
    return Ridge.of(
        _cut(s, inputs) if isinstance(inputs, Timeline) else [(inputs, inputs)],
        damping=s.anchor_damping,
        row_damping=s.anchor_row_damping,
        rank=s.anchor_rank,
        neighbors=s.anchor_neighbors,
        exact=s.anchor_exact,
        seed=s.seed,
    )


def _cut(s: "DiffRecSettings", timeline: Timeline) -> list[tuple[Csr, Csr]]:
    rng = np.random.default_rng(s.seed)
    rows = np.repeat(np.arange(len(timeline.baskets)), (timeline.baskets - 1).clip(0, s.anchor_cuts))
    if len(rows) > _MOST_ROWS:
        rows = rng.choice(rows, _MOST_ROWS, replace=False)
    pairs = []
    for number, start in enumerate(range(0, len(rows), _ROWS_AT_ONCE)):
        part = rows[start : start + _ROWS_AT_ONCE]
        # Steps of their own: training draws its cuts at the low ones.
        cuts = timeline.draw_cuts(part, s.seed, (1 << 32) + number)
        pairs.append((timeline.before(part, cuts, s.time_scales), timeline.after(part, cuts, s.horizon)))
    return pairs


def best_scale(validation: Callable[[float], float]) -> float:
    """The weight in ``SCALES`` with the best validation metric, the smallest of equal ones."""
    return max(SCALES, key=validation)

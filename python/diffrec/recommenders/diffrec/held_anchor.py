"""The anchor that stands beside a network: its map, and the weight of its scores."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from diffrec.anchors import LinearMap
from diffrec.data import Interactions
from diffrec.data.stored import LARGEST_WEIGHT, Stored
from diffrec.diffusion import Part
from diffrec.evaluation import measure, parse_metric
from diffrec.ranking import AddedScores, DenseScores, Scores, top_k
from diffrec.recommenders.diffrec.network import Views
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.recommenders.rankings import hidden_from, to_find, users_at_once
from diffrec.recommenders.trained import VALIDATION_METRIC
from diffrec.training.share import Share

# Weights that are tried for an anchor that was not trained along with the network.
_SCALES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


@dataclass(frozen=True)
class HeldAnchor:
    """An anchor beside a network.

    Attributes
    ----------
    map : LinearMap
        From the views of a history to the items.
    scale : float
        Weight of its scores, 0 until it is known.
    """

    map: LinearMap
    scale: float = 0.0

    @classmethod
    def blank(cls, s: DiffRecSettings, items: int) -> "HeldAnchor":
        """Make one of the size that the settings' will have, to time training with."""
        features = s.n_seen * items
        if features <= s.anchor_exact:
            return cls(LinearMap(direct=np.ones((features, items), dtype=np.float32)))
        left, right = (np.ones((n, min(s.anchor_rank, items)), dtype=np.float32) for n in (features, items))
        return cls(LinearMap(left=left, right=right))

    @classmethod
    def restored(cls, state: Stored, s: DiffRecSettings, items: int, part: Part) -> "HeldAnchor":
        """Take back what ``state`` gave."""
        held = LinearMap.from_state(state.within("anchor"), s.n_seen * items, items, part)
        return cls(held, float(state.take("anchor_scale", (), low=0, high=LARGEST_WEIGHT)))

    def state(self) -> dict[str, Tensor]:
        """Return it as named tensors."""
        named = {f"anchor.{name}": tensor for name, tensor in self.map.state().items()}
        return named | {"anchor_scale": torch.tensor(self.scale)}

    def weighing(self, scale: float) -> "HeldAnchor":
        """Return the same anchor with another weight."""
        return replace(self, scale=scale)

    def require_learnt(self, scale: float) -> None:
        """Raise ``ValueError`` where a file's weight is not the one that its network learnt."""
        if not math.isclose(self.scale, scale, rel_tol=1e-3):
            raise ValueError(f"'anchor_scale' is {self.scale}, and the network learnt {scale}")


def require_fits(anchor: LinearMap, features: int, items: int) -> None:
    """Raise ``ValueError`` where an anchor does not map so many features to so many items."""
    if (anchor.n_features, anchor.n_items) != (features, items):
        raise ValueError(
            f"anchor maps {anchor.n_features:,} features to {anchor.n_items:,} items, and this fit has {features:,} "
            f"and {items:,}: it must be fitted on the same data with the same settings"
        )


@torch.no_grad()
def best_scale(
    anchor: LinearMap,
    own_scores: Callable[[Views], Scores],
    views_of: Callable[[Interactions], Views],
    share: Share,
    learn: Interactions,
    valid: Interactions,
    repeats: str,
) -> float:
    """Find the weight of an anchor's scores with the best validation metric, the smallest of equal ones.

    Scores are linear in it: network and anchor score once, and only the ranking is done for each weight.

    Parameters
    ----------
    anchor : LinearMap
        Its map.
    own_scores, views_of : callable
        Scores of views by the network alone, and views of histories.
    share : Share
        Of the users and items that are here.
    learn, valid : Interactions
        Histories, and what is to be found.
    repeats : str
        Whether what a user had before is to be found again; see ``Settings.repeats``.
    """
    items = learn.shape[1]
    name, k = parse_metric(VALIDATION_METRIC)
    relevant = to_find(learn, valid, repeats)
    rows = np.flatnonzero(np.diff(relevant.indptr))
    ranked = np.empty((len(_SCALES), len(rows), k), dtype=np.int32)
    step = users_at_once(items)
    for start in range(0, len(rows), step):
        of_all = rows[start : start + step]
        block = learn.take(of_all[share.users(len(of_all))])
        views = views_of(block)
        own, added = DenseScores.of(own_scores(views)), DenseScores.of(anchor.scores(views.signed))
        hidden = share.columns(hidden_from(block, repeats), items)
        for place, scale in enumerate(_SCALES):
            best = top_k(AddedScores(own, added, scale), k, hidden)
            ranked[place, start : start + len(of_all)] = share.merged(best, len(of_all), items)[0]
    relevant, ids = relevant[rows], valid.users.ids[rows]
    found = [measure(lists, relevant, ids, [k])[f"{name}@{k}"] for lists in ranked]
    return _SCALES[int(np.argmax(found))]

"""Histories as a transformer over their last events reads them, and as an exported graph is told of them."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from diffrec.data import Csr, Interactions, Timeline
from diffrec.diffusion import SequenceEncoder, Sequences
from diffrec.ranking import LinearScores


def sequences_of(timeline: Timeline, length: int, *, clock: bool) -> Sequences:
    """The last events of whole histories, no more than the longest of them has, with the time between them if asked."""
    longest = int(timeline.lengths.max(initial=1).clip(1, length))
    found = timeline.sequences(np.arange(len(timeline.lengths)), timeline.lengths, longest)
    items, ages, elapsed = (torch.from_numpy(values) for values in found)
    return Sequences(items, ages, elapsed if clock else None)


def scores_by(encoder: SequenceEncoder, states: Tensor) -> LinearScores:
    """Score all items by what a transformer's states (n, width) predict."""
    return LinearScores(states, encoder.items.detach(), encoder.bias.detach())


def standing_means(*, clock: bool) -> list[str]:
    """Say in words what each matrix of ``standing`` holds."""
    return ["1 + the number of newer baskets", *(["1 + the time between it and the newest"] if clock else [])]


def standing(block: Interactions, timeline: Timeline, *, clock: bool) -> list[Csr]:
    """Return the place of each item in its history, as matrices (n, items); of an item's events the newest counts.

    Parameters
    ----------
    block : Interactions
        n histories.
    timeline : Timeline
        The same in the order of time.
    clock : bool
        Whether the time is wanted beside the order.
    """
    items, ages, elapsed = timeline.sequences(
        np.arange(len(timeline.lengths)), timeline.lengths, int(timeline.lengths.max(initial=1))
    )
    row, place = np.nonzero(items >= 0)
    # Backwards, for the first of several is taken.
    cells, newest = np.unique((row * block.shape[1] + items[row, place])[::-1], return_index=True)
    at = np.divmod(cells, block.shape[1])
    return [
        sparse.csr_array(((1 + values[row, place][::-1][newest]).astype(np.float32), at), shape=block.shape)
        for values in ((ages, elapsed) if clock else (ages,))
    ]

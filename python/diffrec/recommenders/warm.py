"""Networks that begin at the weights of another over other items: rows are carried over by what they are of."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from diffrec._tensors import Array, on_host
from diffrec.recommenders.updating import Start

# By name of a weight, what each of its rows is of: number of the view * items + item.
RowsByItem = Mapping[str, Tensor]


@torch.no_grad()
def begin_at(
    network: nn.Module, rows: RowsByItem, weights: Mapping[str, Array], its_rows: RowsByItem, start: Start
) -> None:
    """Give a fresh network the weights of another.

    Rows of items that both know are the other's; those of new items are means of the rows of known ones that are like
    them, and of all where none is. What is of no item is taken as it is.

    Parameters
    ----------
    network : nn.Module
        With fresh weights; they are changed in place.
    rows : mapping of str to Tensor
        Of the weights that have rows of items: which one each is of.
    weights : mapping of str to array
        Those of the other network, by the same names.
    its_rows : mapping of str to Tensor
        As ``rows``, for them.
    start : Start
        Which items are which.

    Raises
    ------
    ValueError
        When a weight that is of no item has another shape, or the other lacks one that is of items.
    """
    for name, weight in network.named_parameters():
        if name not in weights:
            if name in rows:
                raise ValueError(f"init has no {name!r}, which these settings have: it must be of the same form")
            continue
        held = on_host(weights[name])
        fits = held.shape[1:] == tuple(weight.shape[1:]) and (name in rows or held.shape == tuple(weight.shape))
        if not fits:
            raise ValueError(
                f"init has {name!r} of shape {held.shape}, and these settings make it {tuple(weight.shape)}: "
                "its widths must be those of this fit"
            )
        if name in rows:
            held = carried(held, its_rows[name].cpu().numpy(), rows[name].cpu().numpy(), start)
        weight.copy_(torch.from_numpy(np.asarray(held, order="C")))


def carried(
    held: NDArray[np.float32], its_rows: NDArray[np.int64], rows: NDArray[np.int64], start: Start
) -> NDArray[np.float32]:
    """Rows for the items of a new network, (len(rows), ...), of those that another has of its items."""
    n, known = len(start.items), start.model.train_.shape[1]
    view, item = np.divmod(rows, n)
    # Where the row of each view of each of the model's items stands, -1 for nowhere: in another group, say.
    place = np.full(int(view.max(initial=0) + 1) * known, -1, dtype=np.int64)
    inside = its_rows < len(place)
    place[its_rows[inside]] = np.flatnonzero(inside)
    source = np.where(start.items[item] >= 0, place[view * known + start.items[item]], -1)
    made = held[source]
    made[source < 0] = held.mean(axis=0, dtype=np.float64)
    number = np.cumsum(start.items < 0) - 1
    for one in range(int(view.max(initial=-1)) + 1):
        new = np.flatnonzero((source < 0) & (view == one) & (start.items[item] < 0))
        if len(new) == 0:
            continue
        places = place[one * known : (one + 1) * known]
        there = np.flatnonzero(places >= 0)
        alike = sparse.csr_array(start.likeness[number[item[new]]][:, there])
        sums: NDArray[np.float64] = np.asarray(alike.sum(axis=1), dtype=np.float64)
        some = np.flatnonzero(sums > 0)
        means = (alike[some] @ held[places[there]].reshape(len(there), -1)) / sums[some, None]
        made[new[some]] = means.reshape(-1, *held.shape[1:])
    return made

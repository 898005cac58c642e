"""The memory that fitting a DiffRec takes, from its settings and the size of the data alone."""

import torch

from diffrec.anchors.ridge import memory_of
from diffrec.diffusion import Denoiser
from diffrec.diffusion.item_products import BLOCK_CELLS
from diffrec.latent import GroupAutoencoder, ItemGroups
from diffrec.recommenders.diffrec.groups import check_groups
from diffrec.recommenders.diffrec.objective import anchor_rows
from diffrec.recommenders.diffrec.over_items import OverItems
from diffrec.recommenders.diffrec.sequence import fresh_encoder
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.training import BYTES_PER_PARAMETER, Plan, product_dtype

# Bytes held for an interaction: columns and values, those of the part that is learnt from, and the weighted values.
_BYTES_PER_INTERACTION = 40
# Bytes that torch takes in the first step on a processor: the modules behind an optimizer, oneDNN's buffers.
_WORKSPACE = 160_000_000
# float32 arrays of the size of a block that are alive at once.
_BLOCKS = 4


def memory_plan(
    s: DiffRecSettings,
    shape: tuple[int, int],
    interactions: int,
    device: torch.device,
    validated: bool,
    own: int | None = None,
    *,
    events: int | None = None,
    solved: bool = False,
) -> Plan:
    """Estimate a fit.

    Parameters
    ----------
    s : DiffRecSettings
        Of the model.
    shape : (int, int)
        Users, items.
    interactions : int
        Of the training data.
    device : torch.device
        Where the model is trained.
    validated : bool
        Whether the best weights are kept beside the current ones.
    own : int, optional
        How many of the items are here, where other processes hold the others.
    events : int, optional
        Of the training data, where some are repeats of an interaction; by default as many as interactions.
    solved : bool
        Whether there is an anchor already, whose equations are not solved again.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        When there are more groups than items, or a width cannot be shared by the groups.
    """
    users, of_all = shape
    items = of_all if own is None else own
    # An anchor is solved in the memory of the host, which its equations are held to before they are made.
    solving = s.anchor and not solved and device.type == "cpu"
    memory = _anchor_memory(s, users, s.n_seen * of_all, items, events or interactions) if solving else 0
    if s.denoiser == "sequence":
        parameters, batch = _of_sequence(s, items)
    else:
        rows = min(s.batch_size, users * (s.cuts if s.objective == "forecast" else 1))
        parameters, batch = _of_layers(s, items, rows, device)
    memory += parameters * (BYTES_PER_PARAMETER + 4 * validated) + interactions * _BYTES_PER_INTERACTION
    return Plan(parameters, memory + batch + _WORKSPACE * (device.type == "cpu"))


def _of_layers(s: DiffRecSettings, items: int, rows: int, device: torch.device) -> tuple[int, int]:
    """Parameters of a denoiser and perhaps an autoencoder, and the bytes of a batch of so many rows."""
    forecasting = s.objective == "forecast" and s.groups is None
    with torch.device("meta"):  # shapes without memory
        denoiser = Denoiser(
            items if s.groups is None else s.latent_dims[0],
            s.dims,
            s.time_embedding,
            views=s.n_seen if forecasting else 1,
        )
    parameters = sum(p.numel() for p in denoiser.parameters())
    cells = rows * items
    if s.groups is not None:
        parameters += sum(p.numel() for p in _autoencoder(s, s.groups, items, s.n_seen).parameters())
        # The scores of the batch, their gradient, and what the likelihood makes of them.
        return parameters, 3 * 4 * cells
    if forecasting:
        # The views are sparse; the scores of a batch become their own gradient.
        return parameters, 3 * 4 * cells
    # A GPU makes the batch in plain steps: the rows, their noise, their sum, what dropout leaves.
    dtype = product_dtype(s.precision, device, on_processor=OverItems.narrow_on_processor)
    batch = cells * (dtype.itemsize if device.type == "cpu" else 4 * 4 + dtype.itemsize)
    return parameters, batch + _BLOCKS * 4 * min(BLOCK_CELLS, cells)


def _of_sequence(s: DiffRecSettings, items: int) -> tuple[int, int]:
    """Parameters of a transformer, and the bytes of a batch: attention over the last events, and a block of scores."""
    with torch.device("meta"):
        network = fresh_encoder(s, items)
    places = max(s.batch_size, s.sequence_length)
    # Per layer: logits, weights and their gradients for each pair of places; some states of each place.
    pairs = places * s.sequence_length * (s.sequence_heads * 4 * s.sequence_layers + 6)
    states = places * s.sequence_width * 16 * s.sequence_layers
    batch = 4 * (pairs + states) + _BLOCKS * 4 * min(BLOCK_CELLS, places * items)
    return sum(p.numel() for p in network.parameters()), batch


def _anchor_memory(s: DiffRecSettings, users: int, features: int, items: int, events: int) -> int:
    rows = anchor_rows(s, users, events)
    return memory_of(rows, features, items, rank=s.anchor_rank, neighbors=s.anchor_neighbors, exact=s.anchor_exact)


def _autoencoder(s: DiffRecSettings, groups: int, items: int, views: int) -> GroupAutoencoder:
    """An autoencoder over groups of equal size: what the groups will be is learnt in the fit."""
    check_groups(groups, items)
    equal = ItemGroups(torch.arange(items) * groups // items)
    with torch.device("meta"):
        return GroupAutoencoder(equal, s.latent_dims, s.decoder_dims, views=views)

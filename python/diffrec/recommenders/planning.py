"""What fitting a DiffRec takes, from its settings and the size of the data alone."""

from typing import TYPE_CHECKING

import torch

from diffrec.diffusion import Denoiser
from diffrec.diffusion.item_products import BLOCK_CELLS
from diffrec.latent import GroupAutoencoder, ItemGroups
from diffrec.recommenders.embeddings import check_groups
from diffrec.training import BYTES_PER_PARAMETER, TRAFFIC_PER_PARAMETER, Plan, product_dtype, seconds

if TYPE_CHECKING:
    from diffrec.recommenders.diffrec_settings import DiffRecSettings

# Bytes held for an interaction: columns and values, those of the part that is learnt from, and the weighted values.
_BYTES_PER_INTERACTION = 40
# What torch takes for itself in the first step on a processor: the modules behind an optimizer, oneDNN's buffers.
_WORKSPACE = 160_000_000
# float32 arrays of the size of a block that are alive at once.
_BLOCKS = 4
# Bytes moved for a cell of a batch: noised, read by two products, its error passed through the cache a few times. The
# likelihood of the latent forms makes and reads more arrays.
_TRAFFIC_PER_CELL, _LATENT_TRAFFIC_PER_CELL = 40, 90


def planned(
    s: "DiffRecSettings", shape: tuple[int, int], interactions: int, device: torch.device, validated: bool
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

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        When there are more groups than items, or a width cannot be shared by the groups.
    """
    users, items = shape
    n, dtype = min(s.batch_size, users), product_dtype(s.precision, device, on_processor=s.groups is None)
    views = len(s.time_scales) if s.objective == "forecast" else 1
    features = views * items
    forecasting = s.objective == "forecast" and s.groups is None
    with torch.device("meta"):  # shapes without memory
        denoiser = Denoiser(
            items if s.groups is None else s.latent_dims[0],
            s.dims,
            s.time_embedding,
            features=features if forecasting else None,
        )
    parameters = sum(p.numel() for p in denoiser.parameters())
    vectors = users * (s.cuts if s.objective == "forecast" else 1)
    # Multiply-adds of a user: each weight once forward and twice backward, but a history needs no gradient.
    products = 3 * parameters
    cells = n * items
    if forecasting:
        # The views are sparse; the scores of a batch become their own gradient.
        products -= 3 * features * s.dims[-1]
        memory = 3 * 4 * cells
    elif s.groups is None:
        products -= items * s.dims[-1]
        # A GPU makes the batch in plain steps: the rows, their noise, their sum, what dropout leaves.
        batch = cells * (dtype.itemsize if device.type == "cpu" else 4 * 4 + dtype.itemsize)
        memory = batch + _BLOCKS * 4 * min(BLOCK_CELLS, cells)
    else:
        autoencoder = _autoencoder(s, s.groups, items, views)
        sparse = sum(p.numel() for p in autoencoder.items_in)
        parameters += sum(p.numel() for p in autoencoder.parameters())
        products += 3 * (sum(p.numel() for p in autoencoder.parameters()) - sparse)
        # The scores of the batch, their gradient, and what the likelihood makes of them.
        memory = 3 * 4 * cells
    memory += parameters * (BYTES_PER_PARAMETER + 4 * validated) + interactions * _BYTES_PER_INTERACTION
    if s.anchor:
        memory += _anchor_memory(s, vectors, features, items)
        # A history's entries gather rows of the exact map; the approximation is a narrow product.
        width = interactions // users if features <= s.anchor_exact else s.anchor_rank
        products += views * width * items if forecasting else 0
    if device.type == "cpu":
        memory += _WORKSPACE
    batches = -(-vectors // n)
    per_cell = _TRAFFIC_PER_CELL if s.groups is None else _LATENT_TRAFFIC_PER_CELL
    traffic = vectors * items * per_cell + batches * parameters * TRAFFIC_PER_PARAMETER
    return Plan(parameters, memory, seconds(vectors * products, traffic, device, dtype))


def _anchor_memory(s: "DiffRecSettings", vectors: int, features: int, items: int) -> int:
    """The map and what it is solved from, all alive for a moment."""
    if features <= s.anchor_exact:
        return 4 * features * (2 * features + 2 * items)
    if vectors <= s.anchor_exact:
        return 4 * vectors * (2 * vectors + features + items)
    return 4 * (s.anchor_rank * (3 * features + items) + 2 * s.anchor_neighbors * features)


def _autoencoder(s: "DiffRecSettings", groups: int, items: int, views: int) -> GroupAutoencoder:
    """An autoencoder over groups of equal size: what the groups will be is learnt in the fit."""
    check_groups(groups, items)
    equal = ItemGroups(torch.arange(items) * groups // items)
    with torch.device("meta"):
        return GroupAutoencoder(equal, s.latent_dims, s.decoder_dims, views=views)

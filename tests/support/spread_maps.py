"""What the processes of a test do with an anchor of which each has the columns of some items."""

from typing import Any

import numpy as np
import torch
from scipy import sparse

import diffrec
from diffrec.anchors import LinearMap, Ridge
from diffrec.distributed import Spread, World
from diffrec.recommenders.registry import make
from diffrec.recommenders.rivals.lightgcn import GraphEmbeddings, bipartite
from support.spread_training import data

ITEMS, VIEWS = 23, 2
# By name: whether a history predicts itself, how many rows there are, and how it is solved.
WAYS: dict[str, tuple[bool, int, dict[str, Any]]] = {
    "exact": (False, 80, {"damping": 0.2}),
    "itself": (True, 80, {"damping": 0.2, "row_damping": 0.5}),
    "few rows": (False, 9, {}),
    "approximate": (False, 80, {"exact": 0, "rank": 5, "neighbors": 4, "damping": 0.2}),
    "approximate, of few ranks": (True, 80, {"exact": 0, "rank": 30, "neighbors": 4}),
}


def pairs(itself: bool, rows: int) -> list[tuple[Any, Any]]:
    """Pieces in float64, with many products that are the same."""
    rng = np.random.default_rng(4)
    features = ITEMS if itself else VIEWS * ITEMS
    before = (rng.random((rows, features)) < 0.25) * rng.integers(1, 3, (rows, features)).astype(np.float64)
    after = (rng.random((rows, ITEMS)) < 0.2).astype(np.float64)
    made = []
    for piece in (slice(0, rows // 2), slice(rows // 2, rows)):
        one = sparse.csr_array(before[piece])
        made.append((one, one if itself else sparse.csr_array(after[piece])))
    return made


def solved(world: "World | None", way: str) -> dict[str, np.ndarray]:
    """The map's columns of this process's items, dense, and of its sparse parts the cells."""
    itself, rows, settings = WAYS[way]
    share = Spread(world or World(None, None, None), 5)
    part = share.part(ITEMS)
    found = Ridge.of(pairs(itself, rows), **settings, part=part).solve(0.5)
    left = found.left
    if left is not None:
        views = 1 if itself else VIEWS
        every = np.zeros((views, ITEMS, left.shape[1]))
        every[:, part.first : part.first + part.size] = left.reshape(views, part.size, -1)
        left = share._world.items.all_gather(torch.from_numpy(every)).sum(dim=0).numpy()
        left = left.reshape(views * ITEMS, -1)
    whole = LinearMap(found.direct, left, found.right)
    features, items = np.arange(ITEMS * (1 if itself else VIEWS)), np.arange(part.size)
    direct = found.direct if isinstance(found.direct, sparse.csr_array) else None
    return {
        "columns": _between(whole, features, items),
        "cells": np.empty((len(features), 0)) if direct is None else direct.toarray(),
    }


def _between(found: LinearMap, features: Any, items: Any) -> np.ndarray:
    """The map in the format that it was solved in; ``between`` is for float32."""
    columns = np.zeros((len(features), len(items)))
    if found.direct is not None:
        columns += found.direct if isinstance(found.direct, np.ndarray) else found.direct.toarray()
    if found.left is not None and found.right is not None:
        columns += found.left @ (found.right if isinstance(found.right, np.ndarray) else found.right.toarray()).T
    return columns


# Every form of a map in a file, a network of each kind beside one, and what is solved for in turns.
MODELS: dict[str, dict[str, Any]] = {
    "anchor": {"variant": "anchor"},
    "anchor of views": {"variant": "anchor", "objective": "forecast", "anchor_cuts": 12},
    "anchor of few rows": {"variant": "anchor", "objective": "forecast", "anchor_cuts": 2},
    "anchor, approximate": {"variant": "anchor", "anchor_exact": 0, "anchor_rank": 6, "anchor_neighbors": 5},
    "diffrec": {"variant": "diffrec", "anchor": True, "dims": (8,), "batch_size": 16, "epochs": 2},
    "forecast": {"variant": "t-diffrec", "dims": (8,), "batch_size": 32, "epochs": 2},
    "sequence": {
        "variant": "t-diffrec", "denoiser": "sequence", "sequence_width": 8, "sequence_layers": 1, "sequence_heads": 2,
        "batch_size": 200, "epochs": 2,
    },
    "lightgcn": {"variant": "lightgcn", "factors": 7, "batch_size": 100, "epochs": 2},
    "ials": {"variant": "ials", "factors": 6, "iterations": 3},
}  # fmt: skip


def fitted(world: "World | None", form: str, out: str | None = None) -> dict[str, np.ndarray]:
    """Fit, ask, and save where there is a place to."""
    settings = {"seed": 2, "progress": False, "device": "cpu"} | MODELS[form]
    if settings["variant"] not in ("ials", "lightgcn"):
        settings |= {"precision": "float32"}
    model = make(**settings)
    model.spread_over(Spread(world or World(None, None, None), 2))
    model.fit(data())
    if out is not None:
        model.save(out)
    return asked(model)


def kept(world: World, folder: str) -> dict[str, np.ndarray]:
    """Fit embeddings of which each process has some factors, with a checkpoint; what is over comes back at once."""
    model = make(**{"seed": 2, "progress": False, "device": "cpu"} | MODELS["lightgcn"])
    model.spread_over(Spread(world, 2))
    found = asked(model.fit(data(), checkpoint=folder))
    return found | {"seconds": np.array([epoch.seconds for epoch in model.training_.epochs])}


def propagated(world: "World | None") -> dict[str, np.ndarray]:
    """Loss and gradient of one batch over a graph, in float64, of all factors and pairs together."""
    share, matrix = Spread(world or World(None, None, None), 2), data().matrix
    torch.manual_seed(1)
    embeddings = GraphEmbeddings(sum(matrix.shape), 7, 2, 0.1, share.part(7)).double()
    users, items = (torch.arange(30) * step for step in (1, 3))
    nodes = (users, 40 + items, 40 + (items + 50) % 101)
    (batch,) = embeddings.own(iter([nodes]))
    loss = embeddings.loss(bipartite(matrix, torch.device("cpu")).of_type(torch.float64), batch)
    loss.backward()
    gradient = embeddings.of_all_factors(embeddings.start.grad)
    share._world.users.add(gradient)
    return {"loss": np.array(share.total(float(loss.detach()))), "gradient": gradient.numpy()}


def loaded(world: World, path: str, out: str) -> dict[str, np.ndarray]:
    """Load a file of one process, ask, and save it again."""
    model = diffrec.load(path, distributed=world)
    model.save(out, measured=True)
    return asked(model)


def asked(model: Any) -> dict[str, np.ndarray]:
    top = model.recommend(k=9)
    report = model.evaluate(data(seed=8), k=[5, 20])
    return {"items": top.items, "scores": top.scores, "ndcg": np.asarray(report.per_user["ndcg@20"])}

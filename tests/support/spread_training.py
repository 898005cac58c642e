"""What the processes of a test do: the first steps of a training, in float64."""

import itertools
from typing import Any

import numpy as np
import torch
from scipy import sparse

from diffrec import Interactions
from diffrec.diffusion import layouts_of
from diffrec.distributed import Spread, World
from diffrec.recommenders.registry import make

ITEMS, USERS = 101, 40


def data(seed: int = 3) -> Interactions:
    rng = np.random.default_rng(seed)
    cells = rng.choice(USERS * ITEMS, 600, replace=False)
    matrix = np.zeros(USERS * ITEMS, dtype=np.float32)
    times = np.zeros(USERS * ITEMS)
    matrix[cells], times[cells] = rng.integers(1, 5, len(cells)), rng.permutation(len(cells)) + 1
    matrix, times = (sparse.csr_array(one.reshape(USERS, ITEMS)) for one in (matrix, times))
    return Interactions.from_csr(matrix, times)


def trained(world: "World | None", settings: dict[str, Any], steps: int) -> dict[str, Any]:
    """Loss and gradients of the first batch, and the weights after some, in float64; those of all items together."""
    torch.set_default_dtype(torch.float64)
    try:
        named = {"variant": "diffrec", "precision": "float32", "holdout": 0, "device": "cpu", "seed": 5} | settings
        model: Any = make(**named)
        share = Spread(world or World(None, None, None), 5)
        model.spread_over(share)
        learn = data()
        if settings.get("anchor"):
            # The same float32 numbers for all: that they are solved for alike is tested apart, in float64.
            model.anchored_by(make(**named | {"variant": "anchor", "objective": "forecast"}).fit(learn))
        torch.manual_seed(5)
        model.train_ = learn
        network, _, changing = model._prepare(learn, torch.device("cpu"))
        network.double()
        for parameter in network.parameters():
            assert parameter.dtype == torch.float64
        changing = share.watch(network, changing)
        optimizer: Any = changing["optimizer"]
        network.train()
        found: dict[str, Any] = {}
        losses = []
        while len(losses) < steps:
            batches: Any = changing["batches"]
            weighed: tuple[float, ...] = ()
            if settings.get("variant") in ("multivae", "multidae"):
                weighed = (0.3,)
            else:
                batches = network.epoch_of(batches)
            for batch in itertools.islice(batches, steps - len(losses)):
                optimizer.zero_grad()
                loss = network.loss(batch, *weighed)
                loss.backward()
                if not losses:
                    gradients = {f"gradient {name}": p.grad.clone() for name, p in network.named_parameters()}
                    for gradient in gradients.values():
                        share._world.users.add(gradient)
                    found |= gradients
                optimizer.step()
                losses.append(share.total(float(loss.detach())))
        found |= {f"weight {name}": p.detach() for name, p in network.named_parameters()}
        layouts = layouts_of(network)
        of_all = {name: whole(share, values, layouts.get(name.split(" ", 1)[1])) for name, values in found.items()}
        return {"losses": np.array(losses), **of_all}
    finally:
        torch.set_default_dtype(torch.float32)


def trained_with_noise(world: World, settings: dict[str, Any], steps: int) -> dict[str, Any]:
    """What ``trained`` gives where one process computes attention with other last bits, as a GPU may."""
    exact = torch.nn.functional.scaled_dot_product_attention

    def noisy(*inputs: Any, **options: Any) -> torch.Tensor:
        found = exact(*inputs, **options)
        return found + 1e-6 * found.detach().cos() if world.items.rank == 1 else found

    torch.nn.functional.scaled_dot_product_attention = noisy
    try:
        return trained(world, settings, steps)
    finally:
        torch.nn.functional.scaled_dot_product_attention = exact


def whole(share: Spread, values: torch.Tensor, layout: Any) -> np.ndarray:
    if layout is None:
        return values.numpy()
    out, at = torch.zeros(layout.rows, *values.shape[1:], dtype=values.dtype), 0
    for first, size in layout.segments:
        out[first : first + size] = values[at : at + size]
        at += size
    share._world.items.add(out)
    return out.numpy()

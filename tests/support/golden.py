"""Golden files, and models built from the weights in them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffrec.diffusion import Denoiser, noise_betas


def cases(golden: Path, kind: str) -> list[tuple[str, dict[str, Any], dict[str, np.ndarray]]]:
    """Name, settings and arrays of every case of a kind."""
    index = json.loads((golden / "index.json").read_text())
    chosen = [(name, case) for name, case in index.items() if case["kind"] == kind]
    assert chosen, f"no case of kind {kind!r} in {golden}"
    return [(name, case, dict(np.load(golden / f"{name}.npz"))) for name, case in chosen]


def betas_of(case: dict[str, Any]) -> torch.Tensor:
    """The noise variances a case names."""
    return noise_betas(
        case["noise_schedule"],
        case["steps"],
        case["noise_scale"],
        case["noise_min"],
        case["noise_max"],
        fix_first=case["first_beta_fixed"],
    )


def tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor of its own memory, whatever the array's layout."""
    return torch.from_numpy(np.ascontiguousarray(array).copy())


def denoiser_from(case: dict[str, Any], weights: dict[str, np.ndarray]) -> Denoiser:
    """A Denoiser with the authors' layers: their first layer holds the items and the step embedding side by side."""
    items, dims = case["items"], case["dims"]
    denoiser = Denoiser(items, dims, case["time_embedding"], normalize=case["normalize_input"])
    first = weights["in_layers.0.weight"]
    last = len(dims) - 1
    inner = [f"in_layers.{i}" for i in range(1, len(dims))] + [f"out_layers.{i}" for i in range(last)]
    state = {
        "embed_step.weight": weights["emb_layer.weight"],
        "embed_step.bias": weights["emb_layer.bias"],
        "items_in": first[:, :items].T,
        "step_in.weight": first[:, items:],
        "step_in.bias": weights["in_layers.0.bias"],
        "items_out": weights[f"out_layers.{last}.weight"],
        "bias_out": weights[f"out_layers.{last}.bias"],
    }
    for i, name in enumerate(inner):
        state[f"inner.{i}.weight"] = weights[f"{name}.weight"]
        state[f"inner.{i}.bias"] = weights[f"{name}.bias"]
    denoiser.load_state_dict({key: tensor(value) for key, value in state.items()})
    return denoiser.eval()

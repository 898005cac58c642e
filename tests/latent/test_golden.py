"""The published numbers of the latent models."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import GaussianProcess
from diffrec.latent import GroupAutoencoder, ItemGroups
from support.golden import betas_of, cases, denoiser_from, tensor


def autoencoder_from(case: dict[str, Any], arrays: dict[str, np.ndarray]) -> GroupAutoencoder:
    """A GroupAutoencoder with the authors' layers; theirs sit at even places, activations between them."""
    groups = ItemGroups(tensor(arrays["group_of_item"]))
    model = GroupAutoencoder(groups, case["encoder_dims"], case["decoder_hidden"])
    state: dict[str, np.ndarray] = {"group_of_item": arrays["group_of_item"]}
    for part, parts in (("encoder", case["groups"]), ("decoder", len(model.items_out))):
        for g in range(parts):
            prefix = f"autoencoder.{part}." + (f"{g}." if f"autoencoder.{part}.{g}.0.weight" in arrays else "")
            layers = sorted(
                int(key[len(prefix) :].split(".")[0]) for key in arrays if key.startswith(prefix) and "weight" in key
            )
            items_at = layers[0] if part == "encoder" else layers[-1]
            for i, layer in enumerate(n for n in layers if n != items_at):
                for kind in ("weight", "bias"):
                    state[f"{part}_inner.{g}.{i}.{kind}"] = arrays[f"{prefix}{layer}.{kind}"]
            weight = arrays[f"{prefix}{items_at}.weight"]
            end = "in" if part == "encoder" else "out"
            state[f"items_{end}.{g}"] = weight.T if part == "encoder" else weight
            state[f"bias_{end}.{g}"] = arrays[f"{prefix}{items_at}.bias"]
    model.load_state_dict({key: tensor(value) for key, value in state.items()})
    return model.eval()


def test_latent_cases(golden: Path) -> None:
    for name, case, arrays in cases(golden, "latent"):
        autoencoder = autoencoder_from(case, arrays)
        widths = {"items": case["encoder_dims"][0], "dims": case["denoiser_dims"], "normalize_input": False}
        denoiser = denoiser_from(
            case | widths, {k.removeprefix("denoiser."): v for k, v in arrays.items() if k.startswith("denoiser.")}
        )
        process = GaussianProcess(betas_of(case))
        rows = SparseRows.from_dense(tensor(arrays["x"]))

        def same(found: torch.Tensor, key: str, name: str = name, arrays: dict[str, np.ndarray] = arrays) -> None:
            np.testing.assert_allclose(found.detach(), arrays[key], atol=1e-5, rtol=0, err_msg=f"{name} {key}")

        groups = ItemGroups(autoencoder.group_of_item)
        same(groups.order, "item_order")
        encoded = autoencoder.encode(rows)
        same(encoded.mu, "latent_mu")
        same(encoded.kl(), "kl")
        same(autoencoder.decode(encoded.mu), "decoded_in_group_order")
        same(autoencoder.reconstruction_loss(encoded.mu, rows), "multinomial_loss")
        latent = process.reverse(denoiser, encoded.mu)
        same(latent, "latent_after_reverse")
        items, bias = autoencoder.item_matrix()
        same(autoencoder.user_vectors(latent) @ items.T + bias, "scores")

"""What goes on where it was killed: ``python tests/support/resuming.py NAME...`` kills fits and others in children."""

import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import diffrec
from diffrec import Interactions, Recommender
from diffrec._tensors import on_host
from diffrec.recommenders import make

_TRAINED: dict[str, Any] = {"epochs": 6, "validate_every": 1, "patience": 3, "holdout": 0.2, "batch_size": 16}
_DENOISER = _TRAINED | {"dims": (8,), "lr": 1e-2}
_SEQUENCE = _TRAINED | {"batch_size": 128}  # their batches are dear
_LATENT = _DENOISER | {"latent_dims": (6,), "groups": 2}
#: Whatever a form changes in training besides weights is changed in these.
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "diffrec": ("diffrec", _DENOISER | {"steps": 3}),
    "diffrec, uniform steps": ("diffrec", _DENOISER | {"step_sampling": "uniform", "predict": "eps"}),
    "diffrec, anchored": ("diffrec", _DENOISER | {"anchor": True}),
    "diffrec, cosine": ("diffrec", _DENOISER | {"lr_schedule": "cosine", "holdout": 0}),
    "diffrec, values": ("diffrec", _DENOISER | {"binarize": False}),
    "t-diffrec, weights": ("t-diffrec", _DENOISER | {"time_weights": "linear"}),
    "t-diffrec": ("t-diffrec", _DENOISER | {"anchor": True, "hidden_dropout": 0.2}),
    "t-diffrec, next basket": ("t-diffrec", _DENOISER | {"repeats": "include"}),
    "t-diffrec, sequence": (
        "t-diffrec",
        _SEQUENCE | {"denoiser": "sequence", "sequence_width": 8, "sequence_layers": 1, "sequence_negatives": 20},
    ),
    "l-diffrec": ("l-diffrec", _LATENT),
    "lt-diffrec": ("lt-diffrec", _LATENT),
    "lt-diffrec, weights": ("lt-diffrec", _LATENT | {"time_weights": "linear"}),
    "lightgcn": ("lightgcn", _TRAINED | {"factors": 4}),
    "multivae": ("multivae", _TRAINED | {"dims": (8,), "latent": 4, "anneal_batches": 20}),
    "multidae": ("multidae", _TRAINED | {"dims": (8,), "latent": 4}),
    "cfgan": ("cfgan", _TRAINED | {"dims": (8,), "discriminator_dims": (4,)}),
    "sasrec": ("sasrec", _SEQUENCE | {"width": 8, "layers": 1, "loss": "gbce", "negatives": 10}),
    "ials": ("ials", {"factors": 4, "iterations": 6}),
}


@cache
def world() -> Interactions:
    """Timed interactions of 60 users and 40 items."""
    return diffrec.datasets.synthetic(users=60, items=40, seed=1)


def unfitted(form: str, **changed: Any) -> Recommender:
    """Make the recommender of a form."""
    variant, settings = FORMS[form]
    return make(variant, **(settings | {"device": "cpu", "progress": False, "seed": 3} | changed))


def same(one: Recommender, other: Recommender) -> None:
    """Raise unless two models have the same bits and the same history of training."""
    ours, theirs = one._state(), other._state()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(on_host(ours[name]), on_host(theirs[name]), err_msg=name)
    epochs = [[(e.epoch, e.loss, e.validation) for e in model.training_.epochs] for model in (one, other)]
    assert epochs[0] == epochs[1]
    assert one.training_.best_epoch == other.training_.best_epoch
    np.testing.assert_array_equal(one.score(), other.score())


def _choice(checkpoint: Path | None) -> list[Any]:
    model = diffrec.fit(world(), budget=None, progress=False, checkpoint=checkpoint)
    return [repr(model), model.training_.facts["chosen"], model.score()]


def _search(checkpoint: Path | None) -> list[Any]:
    settings: dict[str, Any] = {"epochs": 6, "validate_every": 1, "trials": 8, "progress": False, "seed": 2}
    found = diffrec.tune(world(), variant="t-diffrec", **settings, checkpoint=checkpoint)
    trials = [(trial.params, trial.value, trial.state.name) for trial in found.study.trials]
    return [trials, found.settings, found.value, found.model.score()]


def _comparison(checkpoint: Path | None) -> list[Any]:
    variants: dict[str, dict[str, Any]] = {
        "popularity": {}, "diffrec": {"dims": (8,), "epochs": 8, "holdout": 0}, "ease": {"l2": 5.0},
    }  # fmt: skip
    table = diffrec.compare(world(), variants, seeds=4, progress=False, checkpoint=checkpoint)
    return [(row.means, row.deviations, row.difference) for row in table]


def _fit(form: str, checkpoint: Path | None) -> list[Any]:
    model = unfitted(form).fit(world(), checkpoint=checkpoint)
    epochs = [(epoch.epoch, epoch.loss, epoch.validation) for epoch in model.training_.epochs]
    state = [on_host(one) for one in model._state().values()]
    return [epochs, model.training_.best_epoch, *state, model.score()]


def _stack(checkpoint: Path | None) -> list[Any]:
    parts = ["itemknn", FORMS["diffrec"], FORMS["multivae"]]
    model = diffrec.Stack(parts=parts, progress=False, seed=3, device="cpu").fit(world(), checkpoint=checkpoint)
    return [on_host(one) for one in model._state().values()]


#: By name: what takes a checkpoint, and gives what may not depend on whether it was killed.
WORKS: dict[str, Callable[[Path | None], list[Any]]] = {form: partial(_fit, form) for form in FORMS} | {
    "the choice": _choice,
    "tune": _search,
    "compare": _comparison,
    "stack": _stack,
}


def killed_until_done(name: str, checkpoint: Path, moments: random.Random, seconds: float) -> int:
    """Do a work in a child and kill it at random moments, again and again until it is done; how many died.

    ``seconds`` is how long it takes.
    """
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                WORKS[name](checkpoint)
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        # Soon enough for many deaths; later and later, so that it comes to an end on the slowest machine.
        time.sleep(moments.uniform(0, 0.5 * seconds) * 1.1**killed)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "what went on failed, as it said above"
            return killed
        killed += 1


def main(names: list[str]) -> None:
    """Compare what was killed with what was not."""
    for seed, name in enumerate(names):
        WORKS[name](None)  # prepares what a process needs once
        started = time.perf_counter()
        whole = WORKS[name](None)
        seconds = time.perf_counter() - started
        with tempfile.TemporaryDirectory() as folder:
            killed = killed_until_done(name, Path(folder) / "c", random.Random(seed), seconds)
            for found, wanted in zip(WORKS[name](Path(folder) / "c"), whole, strict=True):
                np.testing.assert_equal(found, wanted)
            left = [file.name for file in Path(folder).iterdir()]
        assert left == ["c"], left
        print(f"{name}: killed {killed} times", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

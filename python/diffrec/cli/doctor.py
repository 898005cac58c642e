"""``diffrec doctor``: what is installed, what the machine can do, and whether the two get along."""

import importlib.metadata
import platform
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer

import diffrec
from diffrec import _core
from diffrec._processes import processors
from diffrec.cli import options
from diffrec.cli.errors import BAD_INPUT, one_line
from diffrec.cli.output import pairs, show
from diffrec.training import available_memory, resolve_device
from diffrec.training.precision import multiplies_bfloat16

_PACKAGES = ("torch", "numpy", "scipy", "safetensors")
#: torch without what GPUs need, which is most of its size.
CPU_BUILD = "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cpu"


def doctor(as_json: options.Json = False) -> None:
    """Say what is installed and what this machine can do, and check that diffrec works on it.

    Exits with 1 if the check fails. A good thing to send along when you report a problem.

    Examples
    --------
    diffrec doctor
    """
    values: dict[str, Any] = {
        "versions": {
            "diffrec": diffrec.__version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "system": platform.platform(),
        "device": device(),
        "torch": torch_build(),
        "simd": {"level": _core.simd_level(), "available": _core.simd_levels()},
        "threads": threads(),
        "memory_available": available_memory(),
        "bfloat16": bfloat16(),
        "extras": extras(),
        "self_check": self_check(),
    }
    show(_in_words(values), values, as_json=as_json)
    if values["self_check"]["problem"] is not None:
        raise typer.Exit(BAD_INPUT)


def device() -> dict[str, Any]:
    """Return the device that ``device="auto"`` means on this machine, and its GPUs."""
    chosen = resolve_device("auto")
    gpus = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    return {"auto": str(chosen), "gpus": gpus, "torch_cuda": torch.version.cuda}


def torch_build() -> dict[str, Any]:
    """Say what this torch was built for, and how to get one that takes less room where that is of no use here."""
    built_for = (
        f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {hip}" if (hip := torch.version.hip) else "CPU"
    )
    idle = built_for != "CPU" and not torch.cuda.is_available()
    return {"built_for": built_for, "smaller": CPU_BUILD if idle else None}


def threads() -> dict[str, int | None]:
    """Count the threads that torch and the kernels work with, and the processors this process may use."""
    return {"torch": torch.get_num_threads(), "kernels": _core.threads(), "processors": processors()}


def bfloat16() -> dict[str, Any]:
    """Whether the device has instructions for bfloat16, and how much faster than float32 it multiplies."""
    chosen = resolve_device("auto")
    times = [_fastest_product(chosen, dtype) for dtype in (torch.float32, torch.bfloat16)]
    return {"instructions": multiplies_bfloat16(chosen), "speed_over_float32": times[0] / times[1]}


def _fastest_product(where: torch.device, dtype: torch.dtype) -> float:
    """Seconds of a product such as training is made of, the fastest of a few."""
    a, b = (torch.ones(shape, device=where, dtype=dtype) for shape in ((256, 512), (512, 1024)))
    times = []
    for _ in range(4):
        started = time.perf_counter()
        a @ b
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        times.append(time.perf_counter() - started)
    return max(min(times), 1e-9)


def extras() -> dict[str, dict[str, str | None]]:
    """Each extra of the installed package: the packages it asks for, and their versions where they are there."""
    found: dict[str, dict[str, str | None]] = {}
    for requirement in importlib.metadata.requires("diffrec") or ():
        asked = re.fullmatch(r"\s*([\w.-]+)[^;]*;.*\bextra\s*==\s*['\"]([\w.-]+)['\"].*", requirement)
        if asked is not None and asked[1] != "diffrec":  # `all` is the others together
            found.setdefault(asked[2], {})[asked[1]] = _version(asked[1])
    return found


def self_check() -> dict[str, Any]:
    """Fit, recommend, save and reload on a small generated world; say what went wrong, if something did."""
    started = time.perf_counter()
    try:
        problem = _problem()
    except Exception as error:
        problem = f"{type(error).__name__}: {one_line(error)}"
    return {"problem": problem, "seconds": time.perf_counter() - started}


def _problem() -> str | None:
    data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    model = diffrec.fit(data, variant="diffrec", dims=(8,), epochs=2, progress=False)
    top = model.recommend(k=10)
    scores = np.where(data.matrix.toarray() > 0, -np.inf, model.score())
    best = np.sort(scores, axis=1)[:, :-11:-1]
    if not np.allclose(top.scores, best, rtol=1e-3, atol=1e-5):
        return "the best items are not those with the highest scores"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.diffrec")
        model.save(file)
        if not np.array_equal(diffrec.load(file).recommend(k=10).items, top.items):
            return "a saved model recommends something else when it is loaded"
    return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _in_words(values: dict[str, Any]) -> str:
    threads, memory, check = values["threads"], values["memory_available"], values["self_check"]
    gpus = ", ".join(values["device"]["gpus"]) or "no GPU that torch can use"
    fast, smaller = values["bfloat16"], values["torch"]["smaller"]
    words = {
        **values["versions"],
        "system": values["system"],
        "device": f"{values['device']['auto']} ({gpus})",
        "torch built for": values["torch"]["built_for"]
        + (
            "" if smaller is None else f", and there is no such GPU; the CPU build is a fraction of its size: {smaller}"
        ),
        "instructions": f"{values['simd']['level']} (there are {', '.join(values['simd']['available'])})",
        "threads": f"{threads['torch']} in torch, {threads['kernels']} in kernels, {threads['processors']} processors",
        "memory": "unknown" if memory is None else f"{memory / 1e9:.1f} GB available",
        "bfloat16": f"{'fast' if fast['instructions'] else 'no instructions for it'}: products at "
        f"{fast['speed_over_float32']:.2g} times the speed of float32",
    }
    for extra, packages in values["extras"].items():
        missing = not all(packages.values())
        listed = ", ".join(f"{package} {version or 'missing'}" for package, version in packages.items())
        words[f"extra {extra}"] = listed + (f' (pip install "diffrec[{extra}]")' if missing else "")
    words["self-check"] = (
        f"passed in {check['seconds']:.1f} s" if check["problem"] is None else f"FAILED: {check['problem']}"
    )
    return pairs(words)

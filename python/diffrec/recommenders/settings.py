"""Settings: plain keyword names with defaults, checked when set.

A recommender's settings are a frozen dataclass whose fields are made by :func:`setting`. One table of fields serves the
checks, ``get_params``, the saved file and the documentation.
"""

import dataclasses
import datetime
import difflib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np

from diffrec import training
from diffrec.checks import Check, flag, functions, nearest, one_of, whole
from diffrec.data.tensor_file import checksum
from diffrec.training import Callback

T = TypeVar("T")
#: Two questions: what users discover, or what they take next, old or new.
REPEATS = ("exclude", "include")
# Our names, of which the first that a recommender has is meant -> what other libraries and the papers' code call the
# same, in lower case and without lines between words.
_CALLED_ELSEWHERE = {
    "l2 weight_decay": "regularization regularisation l2reg l2 reg reglambda lambda lambdareg weightdecay wd",
    "lr": "learningrate",
    "factors width latent dims": "factors nfactors numfactors ncomponents nocomponents rank embeddingsize embeddingdim "
    "embsize latentdim hiddendim hiddensize",
    "seed": "randomstate randomseed",
    "epochs iterations": "epochs nepochs numepochs iterations niterations niter maxiter",
    "steps": "t nsteps numsteps ntimesteps numtimesteps timesteps",
    "neighbors": "k topk nneighbors numneighbors",
    "batch_size": "batchsize",
    "patience": "earlystopping stoppingstep",
    "progress": "verbose",
    "length sequence_length": "maxlen maxlength",
    "layers": "nlayers numlayers",
    "heads": "nheads numheads",
}
# Settings that an error lists all of; of more it names some that are like what was given.
_FEW = 12


def setting(default: T, check: Check, doc: str, *, symbol: str = "", saved: bool = True) -> T:
    """Declare one setting.

    Parameters
    ----------
    default
        Its value where none is given.
    check : callable
        Takes name and value; returns the value to keep or raises.
    doc : str
        One line: what it sets, in which unit, and what follows from it.
    symbol : str
        What the model's paper calls it, as in LaTeX but for backslashes: ``"T"``, ``"alpha_min"``; "" for what is not
        in the paper.
    saved : bool
        Whether a model's file keeps it. What is not saved may be an array, or say nothing about the model: it does not
        tell two settings apart.
    """
    return field(
        default=default, compare=saved, metadata={"check": check, "doc": doc, "symbol": symbol, "saved": saved}
    )


def a_device(_name: str, value: Any) -> Any:
    """Accept "auto" and the devices that torch sees here; the processor is always there, and does not wait for torch.

    Raises
    ------
    ValueError
        Where it is no device's name, or this machine has no such device.
    """
    if not (isinstance(value, str) and value in ("auto", "cpu")):
        training.named_device(value)
    return value


def changed(settings: "type[Settings]", name: str, default: Any) -> Any:
    """Declare a setting that other settings have, too, with another default."""
    same = settings.__dataclass_fields__[name]
    return field(default=default, compare=same.compare, metadata=same.metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings every recommender has."""

    seed: int = setting(
        0, whole(0, 2**63 - 1), "seed of every random draw; the same seed, data and settings give the same model"
    )
    device: str = setting(
        "auto", a_device, "where the model is computed: 'auto' (a GPU when there is one), 'cpu' or 'cuda'", saved=False
    )
    progress: bool = setting(True, flag, "show a progress bar on a terminal", saved=False)
    repeats: str = setting(
        "exclude",
        one_of(REPEATS),
        "whether what a user had before counts where the fit is validated, and is forecast: 'exclude' asks what users "
        "discover, 'include' what they take next, old or new",
    )
    callbacks: Sequence[Callback] = setting(
        (), functions, "functions called with the EpochRecord of every epoch of training", saved=False
    )

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, f.metadata["check"](f.name, getattr(self, f.name)))
        self.check_together()

    def check_together(self) -> None:
        """Raise ``ValueError`` where settings that are fine alone are impossible together."""

    def idle(self) -> dict[str, str]:
        """Name settings that have no say beside the others as they are, each with what to say of it."""
        return {}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Make from keyword values; a name that is no setting is a ``TypeError`` that suggests the nearest."""
        cls._refuse_unknown(values)
        return cls(**values)

    def replaced(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with some values changed, checked as when set."""
        self._refuse_unknown(values)
        return dataclasses.replace(self, **values)

    def values(self, *, saved_only: bool = False) -> dict[str, Any]:
        """Return the settings by name; with ``saved_only`` those that belong into a model's file."""
        return {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata["saved"] or not saved_only
        }

    def told(self, device: Any = None) -> dict[str, Any]:
        """Return by name, as JSON can hold it, what two fits must agree in to end with the same bits.

        ``device`` is the torch device that is used, by default that of the setting.
        """
        values = {name: value for name, value in self.values().items() if name not in ("progress", "callbacks")}
        values["device"] = (device or training.resolve_device(self.device)).type
        return {name: told_value(value) for name, value in values.items()}

    @classmethod
    def signature(cls) -> inspect.Signature:
        """Return the settings as keyword parameters with their defaults."""
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter(f.name, kind, default=f.default) for f in dataclasses.fields(cls)])

    @classmethod
    def description(cls) -> str:
        """Return a docstring section with a line per setting, symbols in brackets."""
        lines = []
        for f in dataclasses.fields(cls):
            symbol = f" [{f.metadata['symbol']}]" if f.metadata["symbol"] else ""
            lines.append(f"{f.name} : default {f.default!r}\n    {f.metadata['doc']}{symbol}")
        return "Settings\n--------\n" + "\n".join(lines)

    @classmethod
    def _refuse_unknown(cls, values: Mapping[str, Any]) -> None:
        names = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                hint = _called_here(name, names) or nearest(name, names)
                raise TypeError(f"{name!r} is not a setting{hint} ({_listed(name, names)})")


def _called_here(name: str, names: Sequence[str]) -> str:
    """Say which setting another library's name stands for, as ``nearest`` does; an empty text for none."""
    folded = name.lower().replace("_", "").replace("-", "")
    meant = [
        one
        for ours, theirs in _CALLED_ELSEWHERE.items()
        if folded in theirs.split()
        for one in ours.split()
        if one in names
    ]
    return f"; did you mean {meant[0]!r}?" if meant else ""


def _listed(name: str, names: Sequence[str]) -> str:
    """List the settings that there are, or of many those that are like a name and where all of them stand."""
    if len(names) <= _FEW:
        return f"settings: {', '.join(names)}"
    like = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
    return (
        f"{'near it: ' + ', '.join(like) + '; ' if like else ''}get_params() and help() have all {len(names)} settings"
    )


def plain_setting(value: Any) -> Any:
    """A setting's value as JSON can hold it: times of the clock as their seconds."""
    if isinstance(value, datetime.timedelta):
        return {"seconds": value.total_seconds()}
    return [plain_setting(one) for one in value] if isinstance(value, tuple) else value


def told_value(value: Any) -> Any:
    """A setting's value as ``plain_setting`` has it, and of an array its checksum."""
    if value is None or isinstance(value, bool | int | float | str | tuple | datetime.timedelta):
        return plain_setting(value)
    array = np.asarray(value)
    return f"array of shape {array.shape} with checksum {checksum(np.ascontiguousarray(array))[:12]}"


def scikit_learn_tags() -> Any:
    """Tell scikit-learn that rows are sparse and hold no negative values or labels; it must be installed."""
    from sklearn.utils import InputTags, Tags, TargetTags

    return Tags(
        estimator_type=None,
        target_tags=TargetTags(required=False),
        input_tags=InputTags(sparse=True, positive_only=True),
    )

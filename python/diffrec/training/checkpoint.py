"""Checkpoints: the state of a piece of work in one file, from which the same call goes on to the same bits."""

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from diffrec._core import __version__
from diffrec._tensors import is_tensor, on_host, tensor_of
from diffrec.checks import duration
from diffrec.data._replace import replacing
from diffrec.data.tensor_file import field, parse_json, read_tensors, require_unchanged, sealed, write_tensors

#: How often a checkpoint is written: at the end of every epoch, or of the first after so many seconds.
EPOCH = "epoch"
# The stage of a checkpoint whose state is that of a training between two epochs.
TRAINING = "training"
_FORMAT = 1
_HEADER = "diffrec.checkpoint"
# The array that holds the state but for its arrays: a header may not be as long as a long training's history.
_TREE = "tree"
# The keys that lead to something in a state, from outside in.
Place = tuple[Any, ...]
# The stage of a file that only says what it is for.
_BEGUN = "begun"


class CheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or is that of another fit; the message names the file and what differs.

    What is in the file stays: use another path, or delete it.
    """


class Stateful(Protocol):
    """Protocol of what changes in training, as PyTorch has it: an optimizer, batches in random order, a sampler."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state: numbers, text, tensors and arrays, in dictionaries, lists and tuples."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take such a state back."""
        ...


class Attributes:
    """Plain attributes of an object, seen as what changes in training.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> order = Attributes(generator.bit_generator, "state")
    >>> before, drawn = order.state_dict(), generator.random()
    >>> order.load_state_dict(before)
    >>> bool(generator.random() == drawn)
    True
    """

    def __init__(self, owner: object, *names: str) -> None:
        self._owner = owner
        self._names = names

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return {name: getattr(self._owner, name) for name in self._names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the attributes."""
        for name in self._names:
            setattr(self._owner, name, state_dict[name])


class Checkpoint:
    """A file that work in stages writes its state to, and goes on from.

    It is written whole or not at all, by whoever is killed when; its checksums are compared when it is read.

    Parameters
    ----------
    path : str or Path
        The file. Where there is none it is made at once, so that a place that cannot be written is heard of first.
    every : "epoch", or seconds
        How often to write, at most; also as "5min" or a timedelta.
    told : mapping
        What the work is to be the same by, by name: numbers, text, lists of such. A file of other work is refused by
        the first of the names that differ.

    Raises
    ------
    CheckpointError
        When there is a file that cannot be gone on from.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Checkpoint(f"{folder}/fit.checkpoint", "epoch", {"lr": 0.1}).keep("training", lambda: {"epoch": 3})
    ...     print(Checkpoint(f"{folder}/fit.checkpoint", "epoch", {"lr": 0.1}).resume("training"))
    ...     Checkpoint(f"{folder}/fit.checkpoint", "epoch", {"lr": 0.2})  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    CheckpointError: '.../fit.checkpoint' is the checkpoint of lr=0.1, and this is lr=0.2: ...
    """

    #: Whether what a fit has come to is kept, too, not its training alone.
    keeps_fits: ClassVar[bool] = True

    def __init__(self, path: str | os.PathLike[str], every: Any, told: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.every = every
        self._seconds = seconds_between(every)
        self._told = stamped(told)
        self._stage, self._state = self._read()
        if not self.path.exists():
            self.keep(_BEGUN, dict, now=True)
        self._written = time.monotonic()

    def resume(self, stage: str) -> Any:
        """Return the state that was kept at a stage, once; None where the work has not come to it or is beyond it."""
        if self._stage != stage:
            return None
        self._stage = ""
        state, self._state = self._state, None
        return state

    def keep(self, stage: str, state: Callable[[], Any], *, now: bool = False) -> bool:
        """Write the state of a stage if it is time to, or ``now``, and say whether; it is only asked for then."""
        if not now and time.monotonic() - self._written < self._seconds:
            return False
        arrays: dict[str, NDArray[Any]] = {}
        tree = json.dumps({"stage": stage, "state": packed(state(), lambda one, _: _added(one, arrays))}).encode()
        arrays[_TREE] = np.frombuffer(tree, dtype=np.uint8)
        header = sealed({"format": _FORMAT, "told": self._told}, arrays)
        with replacing(self.path) as temporary:
            write_tensors(temporary, arrays, {_HEADER: header})
        self._written = time.monotonic()
        return True

    def blame(self, error: Exception) -> CheckpointError:
        """Say of what turned out to be wrong that it came from this file."""
        return CheckpointError(f"{str(self.path)!r} is a damaged checkpoint: {error}")

    def _read(self) -> tuple[str, Any]:
        if not self.path.exists():
            return "", None
        if not self.path.is_file():
            raise CheckpointError(f"checkpoint must be the path of a file, got {str(self.path)!r}")
        try:
            metadata, arrays = read_tensors(self.path)
            if _HEADER not in metadata:
                raise ValueError("it is a safetensors file of something else")
            header = parse_json(metadata[_HEADER])
            require_unchanged(header, arrays)
            if header["format"] != _FORMAT:
                raise ValueError(f"it has format {header['format']}, and this version goes on from format {_FORMAT}")
            told = field(header, "told", dict)
        except ValueError as error:
            raise CheckpointError(f"{str(self.path)!r} is no checkpoint, or is damaged: {error}") from None
        self._require_same(told)
        try:
            tree = json.loads(arrays.pop(_TREE).tobytes())
            return tree["stage"], unpacked(tree["state"], lambda name, _: arrays.pop(name))
        except (KeyError, TypeError, ValueError) as error:
            raise self.blame(error) from None

    def _require_same(self, told: dict[str, Any]) -> None:
        for name in [*self._told, *(told.keys() - self._told.keys())]:
            before, now = told.get(name), self._told.get(name)
            if before != now:
                raise CheckpointError(
                    f"{str(self.path)!r} is the checkpoint of {name}={before!r}, and this is {name}={now!r}: "
                    "use another path, or delete it to begin anew"
                )


def stamped(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return, as JSON gives it back, what work is to be the same by: the version, and what it was told."""
    return json.loads(json.dumps({"diffrec": __version__, **told}))  # type: ignore[no-any-return]


def seconds_between(every: Any) -> float:
    """Return the least seconds from one writing to the next: 0 for ``"epoch"``."""
    if every == EPOCH:
        return 0.0
    try:
        return duration("every", every)
    except (TypeError, ValueError):
        raise ValueError(f"every must be 'epoch' or a time, in seconds or as '5min', got {every!r}") from None


def packed(value: Any, put: Callable[[Any, Place], str], place: Place = ()) -> Any:
    """Replace what JSON cannot hold: arrays and tensors are ``put`` somewhere, with their place, under a name.

    A place is the keys that lead to something from outside in.
    """
    if is_tensor(value):
        return {"tensor": put(value, place)}
    if isinstance(value, np.ndarray):
        return {"array": put(value, place)}
    if isinstance(value, Mapping):
        # Names may be numbers, as an optimizer's parameters have them.
        return {"pairs": [[name, packed(one, put, (*place, name))] for name, one in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [packed(one, put, (*place, number)) for number, one in enumerate(value)]}
    if isinstance(value, list):
        return [packed(one, put, (*place, number)) for number, one in enumerate(value)]
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def unpacked(value: Any, get: Callable[[str, Place], NDArray[Any]], place: Place = ()) -> Any:
    """Take back what ``packed`` made, with arrays by name and place."""
    if isinstance(value, list):
        return [unpacked(one, get, (*place, number)) for number, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "pairs":
        return {name: unpacked(one, get, (*place, name)) for name, one in inner}
    if kind == "tuple":
        return tuple(unpacked(one, get, (*place, number)) for number, one in enumerate(inner))
    if kind == "seconds":
        return timedelta(seconds=inner)
    return tensor_of(get(inner, place)) if kind == "tensor" else get(inner, place)


def _added(values: Any, arrays: dict[str, NDArray[Any]]) -> str:
    name, array = str(len(arrays)), on_host(values)
    arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return name

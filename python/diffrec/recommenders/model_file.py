"""A model in one safetensors file: settings, ids and training history as JSON beside the tensors; never pickle."""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffrec import _core
from diffrec.checks import known
from diffrec.data import Interactions
from diffrec.data._replace import replacing
from diffrec.data.arrays import from_arrays_dict, holds_events, to_arrays
from diffrec.training import TrainingReport

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender

# Raised whenever an older reader could misunderstand a file. Format 2 has events where pairs repeat; a file without
# them is of format 1, which every version reads.
FORMAT_VERSION = 2
_HEADER = "diffrec"
# The class of each variant, which reads its files: filled by the registry, since every class writes by this module.
KINDS: dict[str, "type[Recommender]"] = {}


@dataclass(frozen=True)
class Stored:
    """Everything a file holds."""

    variant: str
    settings: dict[str, Any]
    train: Interactions
    training: TrainingReport
    state: dict[str, Tensor]


def write(path: Path, stored: Stored) -> None:
    """Write beside ``path``, flush, and rename: the file is complete or what it was before."""
    tensors = {f"state.{name}": tensor.detach().cpu().contiguous() for name, tensor in stored.state.items()}
    tensors |= {f"train.{name}": _tensor(array) for name, array in to_arrays(stored.train).items()}
    header = {
        "format": FORMAT_VERSION if holds_events(stored.train) else 1,
        "version": _core.__version__,
        "variant": stored.variant,
        "settings": {name: plain_setting(value) for name, value in stored.settings.items()},
        "shape": stored.train.shape,
        "item_info": list(stored.train.item_info),
        "training": stored.training.to_dict(),
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, {_HEADER: json.dumps(header)})


def read(path: Path) -> Stored:
    """Read what ``write`` wrote.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is not a model's file, is damaged, or is of a newer format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file {str(path)!r}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if _HEADER not in metadata:
                raise ValueError(f"{str(path)!r} is a safetensors file, but not a diffrec model")
            header = json.loads(metadata[_HEADER])
            if header["format"] > FORMAT_VERSION:
                raise ValueError(
                    f"{str(path)!r} has format {header['format']}, written by diffrec {header['version']}; "
                    f"this version reads up to format {FORMAT_VERSION}"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{str(path)!r} is not a diffrec model, or is damaged: {error}") from None
    try:
        arrays = {k.removeprefix("train."): v.numpy() for k, v in tensors.items() if k.startswith("train.")}
        return Stored(
            header["variant"],
            {name: _setting_from(value) for name, value in header["settings"].items()},
            from_arrays_dict(arrays, tuple(header["shape"]), header["item_info"]),
            TrainingReport.from_dict(header["training"]),
            {k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")},
        )
    except KeyError as error:
        raise ValueError(f"{str(path)!r} is damaged: it lacks {error}") from None


def load(path: str | Path, *, device: str = "auto") -> "Recommender":
    """Load a model that ``Recommender.save`` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    device : str
        Where the model is to run.

    Returns
    -------
    Recommender
        Fitted; it recommends exactly what it did when it was saved.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is not a model's file, is damaged, or was written by a newer version.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> import diffrec
    >>> model = diffrec.Popularity().fit(np.array([[1, 0], [1, 1]]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "popular.diffrec")
    ...     diffrec.load(Path(folder) / "popular.diffrec").score([0])
    array([[2., 1.]], dtype=float32)
    """
    stored = read(Path(path))
    return KINDS[known("variant", stored.variant, KINDS)]._from_stored(stored, device=device)


def _tensor(array: NDArray[Any]) -> Tensor:
    """The array's numbers as a tensor; torch warns of what it could write to and must not."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def plain_setting(value: Any) -> Any:
    """A setting's value as JSON can hold it: times of the clock as their seconds."""
    if isinstance(value, datetime.timedelta):
        return {"seconds": value.total_seconds()}
    return [plain_setting(one) for one in value] if isinstance(value, tuple) else value


def _setting_from(value: Any) -> Any:
    """Read back what ``plain_setting`` gave; JSON has lists for tuples, and no setting is a list."""
    if isinstance(value, dict):
        return datetime.timedelta(seconds=value["seconds"])
    return tuple(_setting_from(one) for one in value) if isinstance(value, list) else value

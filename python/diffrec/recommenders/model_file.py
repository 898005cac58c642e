"""A model in one safetensors file: settings, ids and training history as JSON beside the tensors; never pickle."""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from scipy import sparse
from torch import Tensor

from diffrec import _core
from diffrec.checks import known
from diffrec.data import Ids, Interactions
from diffrec.data._replace import replacing
from diffrec.training import TrainingReport

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender

# Raised whenever an older reader could misunderstand a file.
FORMAT_VERSION = 1
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
    tensors |= {f"train.{name}": _tensor(array) for name, array in _train_arrays(stored.train).items()}
    header = {
        "format": FORMAT_VERSION,
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
            _train_from(arrays, tuple(header["shape"]), header["item_info"]),
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


def _train_arrays(train: Interactions) -> dict[str, NDArray[Any]]:
    matrix = train.matrix
    arrays: dict[str, NDArray[Any]] = {
        "indptr": matrix.indptr.astype(np.int64),
        "indices": matrix.indices.astype(np.int32),
        "data": matrix.data,
    }
    if train.timestamps is not None:
        arrays["timestamps"] = train.timestamps
    columns: dict[str, NDArray[Any]] = {"users": train.users.ids, "items": train.items.ids}
    columns |= {f"item_info.{name}": np.asarray(values) for name, values in train.item_info.items()}
    for name, values in columns.items():
        arrays |= _column_arrays(name, values)
    return arrays


def _train_from(arrays: dict[str, NDArray[Any]], shape: tuple[int, int], info: list[str]) -> Interactions:
    _core.check_csr(arrays["indptr"], arrays["indices"], arrays["data"], shape)
    matrix = sparse.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
    matrix.has_canonical_format = True
    return Interactions(
        matrix,
        arrays.get("timestamps"),
        Ids(_column_from("users", arrays), "user"),
        Ids(_column_from("items", arrays), "item"),
        {name: _column_from(f"item_info.{name}", arrays) for name in info},
    )


def _column_arrays(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Numbers as they are; strings as their UTF-8 bytes, one after the other, and where each ends."""
    if values.dtype.kind in "iufb":
        return {name: np.ascontiguousarray(values)}
    encoded = [str(value).encode() for value in values]
    ends = np.cumsum([len(value) for value in encoded], dtype=np.int64)
    return {f"{name}.utf8": np.frombuffer(b"".join(encoded), dtype=np.uint8).copy(), f"{name}.ends": ends}


def _column_from(name: str, arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    if name in arrays:
        return arrays[name]
    text, ends = arrays[f"{name}.utf8"].tobytes(), arrays[f"{name}.ends"].tolist()
    return np.array([text[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)], dtype=np.str_)


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

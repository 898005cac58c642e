"""A model in one safetensors file: settings, ids and training history as JSON beside the tensors; never pickle."""

import datetime
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec import _core
from diffrec._tensors import Array, on_host
from diffrec.checks import whole
from diffrec.data import Interactions
from diffrec.data._replace import replacing
from diffrec.data.arrays import from_stored, to_arrays
from diffrec.data.stored import LARGEST_WEIGHT, Stored
from diffrec.data.tensor_file import (
    HEADER_LIMIT,
    InPieces,
    field,
    in_order,
    parse_json,
    pieces_of,
    read_tensors,
    require_unchanged,
    sealed,
    write_tensors,
)
from diffrec.recommenders.settings import plain_setting
from diffrec.training import TrainingReport

# Raised whenever an older reader could misunderstand a file. Format 2 brought events, where pairs repeat; format 3
# checksums, and the epochs of the training as an array.
FORMAT_VERSION = 3
_HEADER = "diffrec"
_EPOCHS = "training.epochs"
# Tuples within tuples that a setting may be, and characters that an error repeats of what is wrong.
_DEEPEST, _LONGEST = 8, 2000


class ModelFileError(ValueError):
    """A file that is no model, is damaged, or is of a newer version; the message names file, array and value."""


@dataclass(frozen=True)
class Saved:
    """Everything a file holds; ``arrays`` those that the fitted state is in, too, as ``state.NAME``."""

    variant: str
    settings: dict[str, Any]
    train: Interactions
    training: TrainingReport
    arrays: Stored


def write(
    path: Path,
    variant: str,
    settings: dict[str, Any],
    train: Interactions,
    training: TrainingReport,
    state: "Mapping[str, Array | InPieces]",
    *,
    here: bool = True,
) -> None:
    """Write a fitted model beside ``path``, flush, and rename: the file is complete or what it was before.

    Where the state lies in pieces in several processes, all of them call this, and one has it ``here``.

    Raises
    ------
    ValueError
        When the state holds a number that no reader would take, or there are more settings than a file may have.
    """
    report = training.to_dict()
    arrays: dict[str, NDArray[Any] | InPieces] = {
        f"state.{name}": _written(name, values) for name, values in state.items()
    }
    arrays |= {f"train.{name}": array for name, array in to_arrays(train).items()}
    arrays[_EPOCHS] = _epochs(report.pop("epochs"))
    header = {
        "format": FORMAT_VERSION,
        "version": _core.__version__,
        "variant": variant,
        "settings": {name: plain_setting(value) for name, value in settings.items()},
        "shape": train.shape,
        "item_info": list(train.item_info),
        "training": report,
    }
    text = sealed(header, arrays)
    if 2 * len(text) > HEADER_LIMIT:
        raise ValueError(f"settings and names of item_info take {len(text):,} bytes, more than a file may have of them")
    if not here:
        for _, array in in_order(arrays):
            for _ in pieces_of(array):
                pass
        return
    with replacing(path) as temporary:
        write_tensors(temporary, arrays, {_HEADER: text})


def _written(name: str, values: "Array | InPieces") -> "NDArray[Any] | InPieces":
    """The values as a file has them: in C order, or in pieces that are."""
    if isinstance(values, InPieces):
        return values
    made = np.asarray(on_host(values), order="C")
    if made.dtype.kind == "f" and made.size:
        # By the extremes, which NaN is.
        largest = float(max(-made.min(), made.max()))
        if not largest <= LARGEST_WEIGHT:
            raise ValueError(
                f"state {name!r} holds {largest:g}, and a file takes finite numbers up to {LARGEST_WEIGHT:g} in size: "
                "the fit has diverged; try a smaller lr, or smaller values"
            )
    return made


def read(path: Path, *, mapped: bool = False) -> Saved:
    """Read what ``write`` wrote, or an earlier version of it; ``mapped`` leaves the fitted state in the file.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ModelFileError
        When it is not a model's file, is damaged, or is of a newer format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file {str(path)!r}")
    with blamed_on(path):
        metadata, arrays = read_tensors(path, mapped="state." if mapped else None)
        if _HEADER not in metadata:
            raise ValueError("it is a safetensors file without a model's header")
        header = parse_json(metadata[_HEADER])
        version = whole(1)("format", field(header, "format", int))
        if version > FORMAT_VERSION:
            raise ModelFileError(
                f"{str(path)!r} has format {version}, written by diffrec {field(header, 'version', str)!r}; "
                f"this version reads up to format {FORMAT_VERSION}"
            )
        if version >= 3:
            require_unchanged(header, arrays)
        stored = Stored(arrays)
        users, items = (whole(0)("shape", size) for size in field(header, "shape", list))
        return Saved(
            field(header, "variant", str),
            {name: setting_from(value) for name, value in field(header, "settings", dict).items()},
            from_stored(stored.within("train"), (users, items), field(header, "item_info", list)),
            _report_from(field(header, "training", dict), stored if version >= 3 else None),
            stored,
        )


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Say of what turns out to be wrong which file it came from."""
    try:
        yield
    except ModelFileError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{str(path)!r} is not a diffrec model, or is damaged: {str(error)[:_LONGEST]}") from None


def _epochs(rows: list[Any]) -> NDArray[np.float64]:
    """Number, loss, seconds and validation of each epoch, (epochs, 4); NaN for no validation."""
    if not all(type(row) is list and len(row) == 4 for row in rows):
        raise ValueError("the epochs of its header are not four numbers each")
    return np.array([[math.nan if x is None else x for x in row] for row in rows], dtype=np.float64).reshape(-1, 4)


def _report_from(values: dict[str, Any], stored: Stored | None) -> TrainingReport:
    """Make the report, whose epochs are an array since format 3."""
    if stored is None:
        stored = Stored({_EPOCHS: _epochs(field(values, "epochs", list))})
    epochs = stored.take(_EPOCHS, (None, 4), np.float64, missing=True)
    if not np.array_equal(epochs[:, 0], np.arange(1, len(epochs) + 1)) or np.isnan(epochs[:, :3]).any():
        raise ValueError(f"{_EPOCHS!r} does not count epochs from 1, each with its loss and seconds")
    whole(0, len(epochs))("best_epoch", field(values, "best_epoch", int))
    field(values, "metric", str)
    for name, fact in field(values, "facts", dict).items():
        if type(fact) not in (str, int, float):
            raise ValueError(f"the training's fact {name!r} is {str(fact)[:200]}, expected a number or text")
    rows = [
        [int(epoch), loss, seconds, None if math.isnan(validation) else validation]
        for epoch, loss, seconds, validation in epochs.tolist()
    ]
    return TrainingReport.from_dict(values | {"epochs": rows})


def setting_from(value: Any, deepest: int = _DEEPEST) -> Any:
    """Read back what ``plain_setting`` gave; JSON has lists for tuples, and no setting is a list."""
    if isinstance(value, dict):
        if value.keys() != {"seconds"}:
            raise ValueError(f"a setting of its header is {str(value)[:200]}, expected seconds")
        return datetime.timedelta(seconds=value["seconds"])
    if not isinstance(value, list):
        return value
    if not deepest:
        raise ValueError(f"a setting of its header has lists in lists, more than {_DEEPEST} deep")
    return tuple(setting_from(one, deepest - 1) for one in value)

"""Checkpoints of several processes, in the form of torch.distributed.checkpoint: each writes what it holds.

A checkpoint is a folder with a folder for the latest state. Arrays that are spread are stored in pieces whose names say
at which row of the whole they begin, so that any number of processes can go on from what any other number wrote.
That module of torch's is imported where it is used: it takes most of a second.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from diffrec.diffusion import Layout
from diffrec.distributed.world import LostProcessError, World
from diffrec.training import Checkpoint, CheckpointError
from diffrec.training.checkpoint import TRAINING, Place, packed, seconds_between, stamped, unpacked

if TYPE_CHECKING:
    from torch.distributed.checkpoint.metadata import Metadata

# By the name of a piece.
_Sizes: TypeAlias = dict[str, tuple[torch.Size, torch.dtype]]

_TREE, _STATE, _HALF = "tree", "state-", ".writing"
# Stands for an array where only its name is asked for.
_NOTHING = np.empty(0)


class SpreadCheckpoint(Checkpoint):
    """A folder that the processes of a training write their state to together, and go on from; see ``Checkpoint``.

    Parameters
    ----------
    path, every, told
        As for ``Checkpoint``; all processes must reach the same folder.
    world : World
        The processes.
    layout_at : callable
        Where something stands in the state, as keys from outside in -> which rows of it are here; None where it is
        alike in all processes.
    """

    # The end of a training is kept as the last of its states, whose best weights it is.
    keeps_fits: ClassVar[bool] = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: Any,
        told: Mapping[str, Any],
        world: World,
        layout_at: Callable[[Place], Layout | None],
    ) -> None:
        self._world = world
        self._layout_at = layout_at
        self.path = Path(path)
        self.every = every
        self._seconds = seconds_between(every)
        self._told = stamped(told)
        if self.path.is_file():
            raise CheckpointError(f"checkpoint must be a folder where several processes train, got {str(self.path)!r}")
        if self._world.leads:
            self.path.mkdir(parents=True, exist_ok=True)
        self._number = self._latest()
        self._stage = self._stored()["stage"] if self._number else ""
        self._written = time.monotonic()

    def resume(self, stage: str) -> Any:
        """Return the state that was kept at a stage, once; None where the work has not come to it or is beyond it."""
        if self._stage != stage:
            return None
        self._stage = ""
        stored = self._stored()["state"]
        wanted: dict[str, Place] = {}

        def want(name: str, place: Place) -> np.ndarray[Any, Any]:
            wanted[name] = place
            return _NOTHING

        unpacked(stored, want)
        arrays = self._arrays(wanted)
        return unpacked(stored, lambda name, _: arrays.pop(name).numpy())

    def keep(self, stage: str, state: Callable[[], Any], *, now: bool = False) -> bool:
        """Write the state of a training if it is time to, or ``now``, and say whether; all processes do so together."""
        if stage != TRAINING:
            return False
        due = time.monotonic() - self._written >= self._seconds
        if not now and not (due if self._seconds == 0 else self._world.everyone.agreed(lambda: due)):
            return False
        from torch.distributed.checkpoint.state_dict_saver import save

        pieces: dict[str, Tensor] = {}

        def put(value: Any, place: Place) -> str:
            name = "/".join(map(str, place))
            pieces.update(self._pieces(name, torch.as_tensor(value).detach(), self._layout_at(place)))
            return name

        tree = {"stage": stage, "told": self._told, "state": packed(state(), put)}
        if self._world.leads:
            pieces[_TREE] = torch.from_numpy(np.frombuffer(json.dumps(tree).encode(), dtype=np.uint8).copy())
        self._number += 1
        half = self._folder().with_name(self._folder().name + _HALF)
        with self._together():
            save(pieces, checkpoint_id=half, process_group=self._world.patient.group)
        if self._world.leads:
            half.rename(self._folder())
            for other in self.path.iterdir():
                if other.name.startswith(_STATE) and other != self._folder():
                    shutil.rmtree(other)
        self._world.patient.barrier()
        self._written = time.monotonic()
        return True

    def _pieces(self, name: str, values: Tensor, layout: Layout | None) -> dict[str, Tensor]:
        """Return what this process writes of an array: all of it, or its own rows of each view, or nothing."""
        if layout is None:
            return {name: values} if self._world.leads else {}
        if self._world.users.rank > 0:
            return {}
        parts = (values.T if layout.axis else values).split([size for _, size in layout.segments])
        stretches = zip(layout.segments, parts, strict=True)
        return {f"{name}@{first}": part.contiguous() for (first, size), part in stretches if size}

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Say what it means where one of the processes could not write its part."""
        from torch.distributed.checkpoint.api import CheckpointException

        try:
            with self._world.patient.listening():
                yield
        except CheckpointException as error:
            first = next(iter(error.failures.values()))[0]
            raise self._unreadable(str(first)) from None

    def _unreadable(self, reason: str) -> CheckpointError:
        return CheckpointError(f"{str(self.path)!r}: a process could not read or write its part: {reason}")

    def _latest(self) -> int:
        """Number of the latest state that is complete, as the first process sees it; 0 where there is none."""
        numbers = [0]
        if self.path.is_dir():
            complete = (one.name for one in self.path.iterdir() if not one.name.endswith(_HALF))
            numbers += [int(name.removeprefix(_STATE)) for name in complete if name.startswith(_STATE)]
        latest = torch.tensor([max(numbers)])
        self._world.everyone.broadcast(latest, 0)
        return int(latest)

    def _folder(self) -> Path:
        return self.path / f"{_STATE}{self._number:06d}"

    def _sizes(self) -> _Sizes:
        """Shape and type of every piece."""
        from torch.distributed.checkpoint.filesystem import FileSystemReader

        return _sizes_of(FileSystemReader(self._folder()).read_metadata())

    def _load(self, names: list[str]) -> dict[str, Tensor]:
        from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
        from torch.distributed.checkpoint.filesystem import FileSystemReader

        found: dict[str, Tensor] = {}
        failed = ""
        try:
            # Each reads what is its own, by itself: who reads together, by ``load``, is to name the same pieces.
            reader, planner = FileSystemReader(self._folder()), DefaultLoadPlanner()
            metadata = reader.read_metadata()
            sizes = _sizes_of(metadata)
            found |= {name: torch.empty(sizes[name][0], dtype=sizes[name][1]) for name in names}
            planner.set_up_planner(found, metadata, is_coordinator=True)
            reader.set_up_storage_reader(metadata, is_coordinator=True)
            reader.read_data(reader.prepare_local_plan(planner.create_local_plan()), planner).wait()
        except Exception as error:  # whatever storage and its format have to say
            failed = str(error) or type(error).__name__
        failures = torch.tensor(float(bool(failed)))
        self._world.patient.add(failures)
        if failures:
            raise self._unreadable(failed or "another has said why")
        return found

    def _stored(self) -> dict[str, Any]:
        try:
            tree = self._load([_TREE])[_TREE]
            stored: dict[str, Any] = json.loads(tree.numpy().tobytes())
        except (LostProcessError, CheckpointError):
            raise
        except (OSError, KeyError, ValueError) as error:
            raise self.blame(error) from error
        self._require_same(stored["told"])
        return stored

    def _arrays(self, wanted: Mapping[str, Place]) -> dict[str, Tensor]:
        """Read arrays that are alike everywhere whole, and of the others the rows that are this process's."""
        sizes = self._sizes()
        pieces: dict[str, list[_Piece]] = {}
        for full, (size, dtype) in sizes.items():
            name, _, first = full.rpartition("@")
            if name:
                pieces.setdefault(name, []).append(_Piece(full, int(first), size, dtype))
        found = self._load([name for name in wanted if name not in pieces])
        for name, place in wanted.items():
            layout = self._layout_at(place)
            if name not in pieces:
                continue
            if layout is None:
                raise self.blame(ValueError(f"{name!r} is in pieces"))
            rows = self._rows_here(layout, pieces[name])
            found[name] = rows.T.contiguous() if layout.axis else rows
        return found

    def _rows_here(self, layout: Layout, pieces: "Sequence[_Piece]") -> Tensor:
        """Put the rows of a layout together, of the pieces that have some of them."""
        rows = torch.empty(sum(size for _, size in layout.segments), *pieces[0].size[1:], dtype=pieces[0].dtype)
        overlaps, at = [], 0
        for first, size in layout.segments:
            for one in pieces:
                low, high = max(one.first, first), min(one.first + one.size[0], first + size)
                if low < high:
                    overlaps.append((one, at - first, low, high))
            at += size
        found = self._load(sorted({one.name for one, *_ in overlaps}))
        for one, shift, low, high in overlaps:
            rows[low + shift : high + shift] = found[one.name][low - one.first : high - one.first]
        return rows


def _sizes_of(metadata: "Metadata") -> _Sizes:
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    stored = metadata.state_dict_metadata
    tensors = {name: one for name, one in stored.items() if isinstance(one, TensorStorageMetadata)}
    return {name: (one.size, one.properties.dtype) for name, one in tensors.items()}


@dataclass(frozen=True)
class _Piece:
    """Rows from row ``first`` on, as they are stored."""

    name: str
    first: int
    size: torch.Size
    dtype: torch.dtype

"""From files and ids on the command line to interactions and rows."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from diffrec import Ids, Interactions, Recommender, Split, load
from diffrec.cli.options import ALL, GUESSED, Columns
from diffrec.cli.output import note, warnings_as_notes
from diffrec.data._encode import IdArray
from diffrec.data.files import holds_split
from diffrec.data.text import is_text


@dataclass(frozen=True)
class Source:
    """A file of interactions, and which column is which: names, or places counted from 0 in text without a header."""

    file: Path
    columns: Columns = GUESSED
    part: str | None = None
    items: Path | None = None
    quiet: bool = False

    def beside(self, file: Path) -> "Source":
        """Another file with the same columns."""
        return replace(self, file=file, part=None, items=None)

    def told(self) -> dict[str, Any]:
        """Return what is said of how to read it, by option; nothing, or the default, where it is left unsaid."""
        columns = self.columns
        return {
            **{f"--{part}": name for part, name in columns.named.items()},
            "--negatives": columns.negatives != "error",
            "--on-bad-row": columns.on_bad_row != "error",
            "--dayfirst": columns.dayfirst is not None,
            "--items": self.items,
            "--part": self.part,
        }

    def read(self) -> Interactions | Split:
        """Read the file; a split is read as one unless a part of it is asked for."""
        if self.part is None and holds_split(self.file) and not any(self.columns.named.values()):
            if self.items is not None:
                raise ValueError(f"{self.file} is a split: items={self.items} goes with a file of interactions")
            return Split.read(self.file)
        return self.interactions()

    def interactions(self, of_split: str | None = None) -> Interactions:
        """Read the file, or the part that is asked for, and say what became of its rows.

        Of a split ``of_split`` is taken, where no part is asked for.

        Raises
        ------
        ValueError
            When it is a split and nothing says which part of it is meant.
        """
        part = self.part
        if part is None and holds_split(self.file):
            if of_split is None:
                raise ValueError(
                    f"{self.file} is a split: name the part that is meant by --part or, where a command has no such "
                    "option, write it to a file of its own, as diffrec.Split.read(FILE).train.write('train.csv') does"
                )
            part = of_split
        with warnings_as_notes():
            data = Interactions.read(
                self.file,
                part=None if part == ALL else part,
                negatives=self.columns.negatives,
                on_bad_row=self.columns.on_bad_row,
                dayfirst=self.columns.dayfirst,
                items=None if self.items is None else str(self.items),
                **{part: self._place(name) for part, name in self.columns.named.items()},
            )
        for line in data.report_.lines if data.report_ else ():
            note(line, quiet=self.quiet)
        return data

    def _place(self, name: str | None) -> str | int | None:
        # Only text can lack a header.
        return int(name) if name is not None and name.isdecimal() and is_text(self.file) else name


def read_test(source: Source, seen: Path | None) -> tuple[Interactions, Interactions | None]:
    """Read what is to be predicted, and what is not to be ranked besides the training data."""
    data = source.read()
    test, masked = (data.test, data.valid) if isinstance(data, Split) else (data, None)
    return test, masked if seen is None else source.beside(seen).interactions("valid")


def load_model(path: Path, device: str | None = None) -> Recommender:
    """Load a model onto a device."""
    return load(path) if device is None else load(path, device=device)


def onto(data: Interactions, items: Ids, users: Ids | None = None) -> tuple[Interactions, int]:
    """Put interactions on the rows and columns of a model.

    A file whose ids are all numbers is read as numbers, and the model's may have had a letter among them: ids of two
    kinds are compared as they are written.

    Returns
    -------
    Interactions
        On these ids; it may hold no interaction.
    int
        How many interactions were left out because the model does not know their user or item.
    """
    known_users = data.users if users is None else users
    own = data.with_ids(alike(data.users, known_users), alike(data.items, items))
    aligned, left_out = own.align(alike(known_users, data.users), alike(items, data.items))
    return aligned.with_ids(known_users, items), left_out


def in_kind_of(data: Interactions, like: Interactions) -> Interactions:
    """Take ids that are numbers as text where those of others are text, as they are written."""
    users, items = alike(data.users, like.users), alike(data.items, like.items)
    same = data if users is data.users else data.with_ids(users=users)
    return same if items is data.items else same.with_ids(items=items)


def known_part(data: Interactions, like: Interactions, file: Path) -> tuple[Interactions, int]:
    """Put a file's interactions on the rows and columns of others, with which it must have some in common."""
    aligned, left_out = onto(data, like.items, like.users)
    if not len(aligned):
        raise ValueError(
            f"{file} has no interaction whose user and item are both known; its users are such as "
            f"{data.users[0]!r} where {like.users[0]!r} is known, its items such as {data.items[0]!r} where "
            f"{like.items[0]!r} is: give a file of the same ids"
        )
    return aligned, left_out


def picked(text: str | None, ids: Ids) -> IdArray | None:
    """Read ids as ``--users`` takes them.

    Raises
    ------
    ValueError
        When one is unknown, or there are none.
    """
    if text is None:
        return None
    written, rows = _written(text, ids)
    if rows.min() < 0:
        unknown = written[int(np.argmax(rows < 0))]
        hint = f" (for the ids in a file of that name write @{text})" if Path(text).is_file() else ""
        raise ValueError(f"unknown {ids.name} id {unknown!r}; the model's are such as {ids[0]!r}{hint}")
    known: IdArray = ids[rows]
    return known


def picked_with_strangers(text: str | None, ids: Ids) -> IdArray | None:
    """Read ids as ``picked`` does, known or not, of the kind that the known ones are.

    Raises
    ------
    ValueError
        When one cannot be of that kind, or there are none.
    """
    if text is None:
        return None
    written, _ = _written(text, ids)
    if ids.ids.dtype.kind == "U":
        return np.array(written, dtype=np.str_)
    try:
        return np.array(written).astype(np.int64)
    except ValueError:
        raise ValueError(f"{ids.name} ids are integers here, got {text!r}") from None


def known_items(
    text: str | None, items: Ids, option: str, *, strict: bool = False, quiet: bool = False
) -> IdArray | None:
    """Read ids as ``--allow`` and ``--deny`` take them; those that the model does not know are counted and left out.

    Raises
    ------
    ValueError
        When nothing is left that is allowed, there are none, or one is unknown and ``strict``.
    """
    if text is None:
        return None
    written, rows = _written(text, items)
    if strict or (rows.max() < 0 and option == "--allow"):
        return picked(text, items)  # which says what is unknown
    strange = [one for one, row in zip(written, rows.tolist(), strict=True) if row < 0]
    if strange:
        note(f"{option}: {len(strange):,} items that the model does not know, such as {strange[0]!r}", quiet=quiet)
    known: IdArray = items[rows[rows >= 0]]
    return known


def _written(text: str, ids: Ids) -> tuple[list[str], NDArray[np.int64]]:
    """Ids as they are written, and their rows, -1 where one is unknown."""
    listed = _lines(text[1:]) if text.startswith("@") else [part.strip() for part in text.split(",")]
    written = [entry for entry in listed if entry]
    if not written:
        raise ValueError(f"{text!r} names no {ids.name}; write ids separated by commas, or @FILE with one on each line")
    return written, _as_text(ids).find(np.array(written, dtype=np.str_))


def steering(given: Sequence[str] | None, ids: Ids) -> dict[int | str, float] | None:
    """Read NAME=WEIGHT, as ``--steer`` takes it; an item's id comes back as the model has it.

    Examples
    --------
    >>> steering(["7=2", "Film Noir=-0.5"], Ids([7, 8], "item"))
    {7: 2.0, 'Film Noir': -0.5}
    """
    if given is None:
        return None
    weights = {}
    for text in given:
        name, _, weight = text.rpartition("=")
        try:
            number = float(weight)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise ValueError(f"--steer takes NAME=WEIGHT, such as --steer 12=1.5, got {text!r}")
        row = int(_as_text(ids).find([name])[0])
        weights[name if row < 0 else ids[row]] = number
    return weights


def require_place(path: Path, *read: Path | None, folder: bool = False) -> None:
    """Refuse what could not be written, or is one of the files to be read, before any work is done.

    What is to be written is a file, or a ``folder``, which may be there already.
    """
    for file in read:
        if file is not None and path.exists() and file.exists() and path.samefile(file):
            raise ValueError(f"{path} is what is to be read, and would be lost; name another file to write")
    if path.is_dir() and not folder:
        raise IsADirectoryError(f"{path} is a folder; name a file")
    above = next(one for one in path.absolute().parents if one.exists())
    if not above.is_dir():
        raise NotADirectoryError(f"{above} is a file, so {path} cannot be written; name another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(f"{above} may not be written to; name another place than {path}")


def say_left_out(left_out: int, file: Path, *, strict: bool = False, quiet: bool) -> None:
    """Say how much of a file the model does not know; where ``strict`` that is a ``ValueError``."""
    if left_out and strict:
        raise ValueError(f"{file}: {left_out:,} interactions are of users or items that the model does not know")
    if left_out:
        note(f"{file}: {left_out:,} interactions of unknown users or items left out", quiet=quiet)


def refuse(where: str, given: Mapping[str, Any]) -> None:
    """Refuse options that say nothing here."""
    for option, value in given.items():
        if value:
            raise typer.BadParameter(f"says nothing of {where}", param_hint=option)


def one_of_two(first: object, second: object, names: str) -> None:
    """Refuse two options that exclude each other."""
    if first is not None and second is not None:
        raise typer.BadParameter("give one of the two, not both", param_hint=names)


def _lines(name: str) -> list[str]:
    if name == "-":
        return [line.rstrip("\r\n") for line in sys.stdin]
    file = Path(name)
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist; @FILE names a file with one id on each line")
    return [line.removesuffix("\r") for line in file.read_text(encoding="utf-8-sig").split("\n")]


def alike(ids: Ids, other: Ids) -> Ids:
    """Ids as text where the others are of another kind."""
    return ids if ids.ids.dtype.kind == other.ids.dtype.kind else _as_text(ids)


def _as_text(ids: Ids) -> Ids:
    return ids if ids.ids.dtype.kind == "U" else Ids(ids.ids.astype(np.str_), ids.name)


def named_files(files: Sequence[Path], option: str) -> dict[str, Path]:
    """Files by their names, without what all files have; by their paths where two have one name."""
    names = [file.name.partition(".")[0] for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    if len(set(names)) < len(names):
        raise typer.BadParameter("names one file twice", param_hint=option)
    return dict(zip(names, files, strict=True))

"""Files that are complete or what they were before."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a new file beside ``path`` that takes its place when the block ends; folders are made.

    When the block raises, or is interrupted, nothing is left of the new file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        # mkstemp makes files only their owner may read; this one is to be an ordinary file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_with_companions(path: Path) -> Iterator[Path]:
    """The same for a file that may come with others, which name one another: it is made under its own name elsewhere.

    What else the block leaves in the folder of the new file is put beside ``path`` before it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder, path.name)
        yield temporary
        # The file itself comes last: whoever finds it finds the others.
        for written in sorted(Path(folder).iterdir(), key=lambda file: file == temporary):
            _flush(written)
            written.replace(path.with_name(written.name))


def _flush(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())

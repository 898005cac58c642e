"""Vectors of users and items as files: tables, and indices of nearest neighbours."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import nearest, needed, one_of
from diffrec.data._replace import replacing_with_companions
from diffrec.recommenders import Recommender

Vectors = NDArray[np.float32]

#: Links of an item in a graph of neighbours, and how many candidates are held while it is built: hnswlib's usual.
_LINKS, _HELD = 16, 200


def vectors(model: Recommender, path: str | Path, of: str = "items", users: Any = None, *, index: str = "flat") -> None:
    """Write the vectors of items or users to a file, whose suffix says in which form.

    Parameters
    ----------
    model : Recommender
        Fitted, with ``item_vectors``.
    path : str or Path
        ``.parquet``: a table of ids and vectors. ``.faiss``: an index of faiss for inner products. ``.hnsw``: one of
        hnswlib, in the space "ip". An index numbers what it holds by row; the ids of the rows are in a second file
        beside it, whose name has ``.ids.json`` behind, with a checksum of the index, which ``item_ids`` checks. Each
        file is complete or what it was before.
    of : {"items", "users"}
        Whose vectors.
    users : as for ``model.user_vectors``, optional
        Which users; all by default.
    index : {"flat", "hnsw"}
        Of ``.faiss``: ``"flat"`` compares with every item and finds what the model ranks first; ``"hnsw"`` follows a
        graph of neighbours and finds most of it, faster. A file ``.hnsw`` is such a graph.

    Raises
    ------
    TypeError
        When the model has no vectors, naming its variant.
    ImportError
        Without the package that writes the file: pyarrow, faiss-cpu or hnswlib.
    ValueError
        When the suffix is another, or ``users`` are given with ``of="items"``.

    Examples
    --------
    >>> import diffrec, tempfile
    >>> model = diffrec.fit(np.array([[1, 1, 0], [0, 1, 1]]), variant="ials", factors=2, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     diffrec.export.vectors(model, f"{folder}/items.parquet")
    ...     import pyarrow.parquet
    ...     pyarrow.parquet.read_table(f"{folder}/items.parquet").column_names
    ['item', 'vector']
    """
    path = Path(path)
    one_of(("items", "users"))("of", of)
    one_of(("flat", "hnsw"))("index", index)
    if users is not None and of == "items":
        raise ValueError("users are for of='users', and of is 'items'")
    if path.suffix not in _WRITERS:
        raise ValueError(f"path must end in {', '.join(_WRITERS)}, got {str(path)!r}{nearest(path.suffix, _WRITERS)}")
    write = _WRITERS[path.suffix]()
    if of == "items":
        ids, found = model._fitted().train_.items.ids, model.item_vectors()
    else:
        ids, found = model._fitted()._histories(users)[2], model.user_vectors(users)
    with replacing_with_companions(path) as temporary:
        write(temporary, of.removesuffix("s"), ids, np.ascontiguousarray(found), index)


# What writes: the file, "item" or "user", ids (n,), vectors (n, width), and the kind of index.
_Write = Callable[[Path, str, NDArray[Any], Vectors, str], None]


def _parquet() -> _Write:
    pyarrow = needed("pyarrow", "a file .parquet needs pyarrow", "diffrec[parquet]")
    from pyarrow import parquet

    def write(path: Path, name: str, ids: NDArray[Any], found: Vectors, _: str) -> None:
        column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(found.ravel()), found.shape[1])
        parquet.write_table(pyarrow.table({name: pyarrow.array(ids), "vector": column}), path)

    return write


def _faiss() -> _Write:
    faiss = needed("faiss", "a file .faiss needs faiss", "faiss-cpu")

    def write(path: Path, name: str, ids: NDArray[Any], found: Vectors, index: str) -> None:
        made: Any = faiss.IndexFlatIP(found.shape[1])
        if index == "hnsw":
            made = faiss.IndexHNSWFlat(found.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
            made.hnsw.efConstruction = _HELD
        made.add(found)
        faiss.write_index(made, str(path))
        _write_ids(path, name, ids)

    return write


def _hnswlib() -> _Write:
    hnswlib = needed("hnswlib", "a file .hnsw needs hnswlib", "hnswlib")

    def write(path: Path, name: str, ids: NDArray[Any], found: Vectors, _: str) -> None:
        made = hnswlib.Index(space="ip", dim=found.shape[1])
        made.init_index(max_elements=len(found), M=_LINKS, ef_construction=_HELD, random_seed=0)
        made.add_items(found, np.arange(len(found)))
        made.save_index(str(path))
        _write_ids(path, name, ids, width=found.shape[1])

    return write


def _write_ids(path: Path, name: str, ids: NDArray[Any], **more: Any) -> None:
    said = {"of": name, **more, "index": _digest(path), "ids": ids.tolist()}
    path.with_name(f"{path.name}.ids.json").write_text(json.dumps(said))


def ids_beside(path: Path) -> NDArray[Any]:
    """Read the ids of an index's rows, from the file beside it.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is that of another index: of two files one was written over, or copied, without the other.
    """
    beside = path.with_name(f"{path.name}.ids.json")
    if not beside.is_file():
        raise FileNotFoundError(f"{beside} does not exist")
    said = json.loads(beside.read_text())
    if isinstance(said, dict) and "index" not in said:
        raise ValueError(f"{beside} does not say of which index it holds the ids: export it again")
    if not isinstance(said, dict) or said["index"] != _digest(path):
        raise ValueError(f"{beside} does not hold the ids of {path.name}, but of another index")
    return np.array(said["ids"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


#: Suffixes of what has a file of ids beside it.
INDICES = (".faiss", ".hnsw")
_WRITERS: dict[str, Callable[[], _Write]] = {".parquet": _parquet, ".faiss": _faiss, ".hnsw": _hnswlib}

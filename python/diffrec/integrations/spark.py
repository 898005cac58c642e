"""Recommendations for a Spark data frame, by ``mapInArrow``: a model in each Python worker."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffrec.checks import needed
from diffrec.integrations.arrow import BatchRecommender, kept, recommend_batches, share_threads
from diffrec.recommenders import Recommender, load

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame


def recommend(
    histories: "DataFrame",
    model: str | os.PathLike[str] | Recommender,
    k: int = 20,
    *,
    spread: bool = True,
    **choice: Any,
) -> "DataFrame":
    """Recommend to the people of a Spark data frame, from their histories in it.

    Parameters
    ----------
    histories : pyspark.sql.DataFrame
        A row for each person, with a list of items (``collect_list``).
    model : path or Recommender
        Fitted, or the file of one.
    k : int
        Length of the lists.
    spread : bool
        Let Spark copy the file to every executor (``SparkContext.addFile``), so that only the driver has to see it.
        False, with a path that all machines see: they read it there.
    **choice
        As for ``diffrec.integrations.BatchRecommender``: the columns (``user``, ``items``, ``times``, ``values``) and
        what is to be recommended.

    Returns
    -------
    pyspark.sql.DataFrame
        Columns user (of the type it had), item, rank and score; lazy, as all of Spark's.

    Raises
    ------
    ImportError
        When pyspark is not installed.
    FileNotFoundError
        When there is no such file.
    """
    types = needed("pyspark.sql.types", "this needs pyspark", "diffrec[spark]")
    if not spread and isinstance(model, Recommender):
        raise TypeError("spread=False needs the path of a model's file that all machines see, got a model")
    fitted = model if isinstance(model, Recommender) else load(Path(model), device="cpu")
    choice = kept(choice)
    BatchRecommender(fitted, k, **choice)  # what is wrong is said here, before any executor starts
    names = [choice.get("user", "user"), choice.get("items", "items"), choice.get("times"), choice.get("values")]
    wanted = histories.select(*dict.fromkeys(name for name in names if name is not None))
    text = fitted.train_.items.ids.dtype.kind == "U"
    schema = types.StructType(
        [
            types.StructField("user", wanted.schema[names[0]].dataType),
            types.StructField("item", types.StringType() if text else types.LongType()),
            types.StructField("rank", types.LongType()),
            types.StructField("score", types.FloatType()),
        ]
    )
    file = _added(histories, model) if spread else os.fspath(Path(str(model)).absolute())
    return wanted.mapInArrow(partial(_ranked, file=file, added=spread, k=k, choice=choice), schema)


def _ranked(
    batches: "Iterable[pa.RecordBatch]", *, file: str, added: bool, k: int, choice: dict[str, Any]
) -> "Iterator[pa.RecordBatch]":
    """Rank a partition's batches, in a worker."""
    from pyspark import SparkFiles

    return recommend_batches(_held(SparkFiles.get(file) if added else file), batches, k, **choice)


def _held(path: str) -> Recommender:
    """The model of a worker, which Spark keeps from one partition to the next; another that is saved there is read."""
    return _loaded(path, Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _loaded(path: str, changed: int) -> Recommender:  # noqa: ARG001 - by which it is held
    share_threads()
    return load(path)


def _added(histories: "DataFrame", model: str | os.PathLike[str] | Recommender) -> str:
    """Have the executors get a model's file; its name there."""
    folder = Path(tempfile.mkdtemp(prefix="diffrec-spark-"))
    # The driver serves the file for as long as it lives.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Spark tells files by their names, and would go on with an older model of the same name.
    file = folder / f"{folder.name}.diffrec"
    if isinstance(model, Recommender):
        model.save(file)
    else:
        shutil.copyfile(model, file)
    histories.sparkSession.sparkContext.addFile(str(file))
    return file.name

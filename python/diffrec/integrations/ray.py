"""Recommendations for a Ray Data set: a pool of actors, each with the model."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffrec.checks import needed
from diffrec.integrations.arrow import BatchRecommender, kept, share_threads
from diffrec.recommenders import Recommender, load

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data


def recommend(
    histories: "ray.data.Dataset",
    model: str | os.PathLike[str] | Recommender,
    k: int = 20,
    *,
    actors: int | tuple[int, int] = 1,
    batch_size: int = 4096,
    num_cpus: float = 1,
    num_gpus: float = 0,
    **choice: Any,
) -> "ray.data.Dataset":
    """Recommend to the people of a Ray Data set, from their histories in it.

    Parameters
    ----------
    histories : ray.data.Dataset
        A row for each person, with a list of items: ``ray.data.read_parquet("histories")``.
    model : path or Recommender
        Fitted, or the file of one. Only this process has to see the file: it goes to every actor through Ray's store.
    k : int
        Length of the lists.
    actors : int or (least, most)
        How many actors rank at a time, each with a model of its own.
    batch_size : int
        People that an actor ranks in one call.
    num_cpus, num_gpus : float
        What each actor takes of a machine; one with a GPU scores there. Reading and writing take processors, too: a
        cluster whose processors all belong to actors waits for ever.
    **choice
        As for ``diffrec.integrations.BatchRecommender``: the columns (``user``, ``items``, ``times``, ``values``) and
        what is to be recommended.

    Returns
    -------
    ray.data.Dataset
        Columns user, item, rank and score; lazy, as all of Ray's: ``.write_parquet("lists")``. Where an actor is lost
        Ray starts another and gives it the batches again that were not done.

    Raises
    ------
    ImportError
        When Ray is not installed.
    FileNotFoundError
        When there is no such file.
    """
    ray = needed("ray", "this needs Ray", "diffrec[ray]")
    fitted = model if isinstance(model, Recommender) else load(Path(model), device="cpu")
    choice = kept(choice)
    BatchRecommender(fitted, k, **choice)  # what is wrong is said here, before any actor starts
    low, high = (actors, actors) if isinstance(actors, int) else actors
    return histories.map_batches(
        _Ranker,
        fn_constructor_kwargs={"file": ray.put(_file_of(model)), "k": k, "choice": choice},
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ray.data.ActorPoolStrategy(min_size=low, max_size=high),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )


class _Ranker:
    """One model, in an actor."""

    def __init__(self, file: Any, k: int, choice: dict[str, Any]) -> None:
        import ray

        share_threads()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.diffrec")
            path.write_bytes(ray.get(file))
            self._lists_of = BatchRecommender(load(path), k, **choice)
        self._user = choice.get("user", "user")

    def __call__(self, table: "pa.Table") -> "pa.Table":
        import pyarrow as pa

        # A batch may be put together of several pieces; in one the model has more to do at a time.
        batches = table.combine_chunks().to_batches()
        schema = self._lists_of.schema(table.schema.field(self._user).type)
        return pa.Table.from_batches(map(self._lists_of, batches), schema)


def _file_of(model: str | os.PathLike[str] | Recommender) -> bytes:
    if not isinstance(model, Recommender):
        return Path(model).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.diffrec")
        model.save(path)
        return path.read_bytes()

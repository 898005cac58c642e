"""``diffrec recommend`` for Parquet with a list of items for each person: read and ranked by batches."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from diffrec import Recommender
from diffrec.checks import needed
from diffrec.cli.options import Columns
from diffrec.cli.output import json_lines, standard_output
from diffrec.data._columns import guess, item_names, user_names
from diffrec.data._replace import replacing
from diffrec.data.files import opened_parquet
from diffrec.data.tables import Append, table_file, text_rows
from diffrec.recommenders.rankings import USER_BLOCK

if TYPE_CHECKING:
    import pyarrow as pa

# People read at once: whole blocks of the ranking.
_AT_ONCE = 8 * USER_BLOCK
_TIMES = ("times", "timestamps", "timestamp", "time")


class ListColumns(NamedTuple):
    """The columns of a file of lists, as ``diffrec.integrations.BatchRecommender`` takes them."""

    user: str
    items: str
    times: str | None
    values: str | None


def list_columns(file: Path, asked: Columns) -> ListColumns | None:
    """Find the columns of a Parquet file, or of a folder of them, whose items are in lists; None where they are not.

    Raises
    ------
    ValueError
        When a column is missing or cannot be guessed.
    """
    if file.suffix.lower() != ".parquet" and not file.is_dir():
        return None
    import pyarrow as pa

    with opened_parquet(file) as held:
        schema = held.schema
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    lists = [field.name for field in schema if any(kind(field.type) for kind in kinds)]
    if not lists or (asked.item is not None and asked.item not in lists):
        return None
    for part, name in asked.named.items():
        if name is not None and name not in schema.names:
            raise ValueError(f"--{part} {name} is no column of {file}, which has {', '.join(schema.names)}")
    who = asked.user or guess(schema.names, user_names())
    what = asked.item or guess(lists, ("items", "history", *item_names())) or (lists[0] if len(lists) == 1 else None)
    for option, found in (("--user", who), ("--item", what)):
        if found is None:
            raise ValueError(f"no column of {file} looks like {option}: name it; it has {', '.join(schema.names)}")
    assert who is not None
    assert what is not None
    return ListColumns(who, what, asked.timestamp or guess(lists, _TIMES), asked.value)


def recommend_lists(
    model: Recommender, file: Path, columns: ListColumns, k: int, out: Path | None, *, as_json: bool, **choice: Any
) -> tuple[int, int]:
    """Recommend to the people of such a file, and write as it goes; how many people there were, and rows written."""
    from diffrec.integrations.arrow import BatchRecommender

    lists_of = BatchRecommender(model, k, **columns._asdict(), **choice)
    people = rows = 0
    with opened_parquet(file) as held:
        wanted = [name for name in columns if name is not None]
        schema = lists_of.schema(held.schema.field(columns.user).type)
        with _opened(out, schema, as_json=as_json) as write:
            # A few batches are read ahead, whatever the size of the file.
            for batch in held.to_batches(columns=wanted, batch_size=_AT_ONCE, batch_readahead=2, fragment_readahead=1):
                # An index beyond its dictionary would be met, if at all, where it is written.
                batch.validate(full=True)
                lists = lists_of(batch)
                write(lists)
                people += batch.num_rows
                rows += lists.num_rows
    return people, rows


def recommend_on(
    engine: str, model: Path, file: Path, columns: ListColumns, k: int, out: Path, actors: int, **choice: Any
) -> None:
    """Have an engine do that: Ray or Spark, of the cluster that its own settings name, or else of this machine.

    Parameters
    ----------
    engine : {"ray", "spark"}
        Which.
    file, out : Path
        Folders that all machines see.
    actors : int
        How many of Ray's actors rank at a time.
    """
    named = {**columns._asdict(), **choice}
    if engine == "ray":
        ray = needed("ray", "--engine ray needs Ray", "diffrec[ray]")
        data = needed("ray.data", "--engine ray needs Ray", "diffrec[ray]")

        from diffrec.integrations.ray import recommend as by_ray

        try:
            ray.init(ignore_reinit_error=True, log_to_driver=False)
        except Exception as error:  # Ray has no class of its own for it
            raise ConnectionError(f"Ray cannot be reached or started: {error}") from error
        by_ray(data.read_parquet(str(file.absolute())), model, k, actors=actors, **named).write_parquet(
            str(out.absolute())
        )
        return
    spark_session = needed("pyspark.sql", "--engine spark needs Spark", "diffrec[spark]").SparkSession

    from diffrec.integrations.spark import recommend as by_spark

    # Workers are to have diffrec, as this process has; on other machines the environment is where it is here.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

    spark = spark_session.builder.appName("diffrec recommend").getOrCreate()
    by_spark(spark.read.parquet(str(file.absolute())), model, k, **named).write.parquet(str(out.absolute()))


@contextmanager
def _opened(out: Path | None, schema: "pa.Schema", *, as_json: bool) -> Iterator[Any]:
    """Open what takes batches of lists: Parquet as they are, another kind of table, or standard output."""
    if out is None:
        yield _by_columns(json_lines(standard_output()) if as_json else text_rows(standard_output()))
    elif out.suffix.lower() == ".parquet":
        from pyarrow import parquet

        with replacing(out) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
            yield writer.write_batch
    else:
        with table_file(out) as append:
            yield _by_columns(append)


def _by_columns(append: Append) -> Any:
    def write(lists: "pa.RecordBatch") -> None:
        append({name: _array(column) for name, column in zip(lists.schema.names, lists.columns, strict=True)})

    return write


def _array(column: Any) -> Any:
    array = column.to_numpy(zero_copy_only=False)
    return array if array.dtype.kind in "iuf" else np.array(column.to_pylist(), dtype=np.str_)

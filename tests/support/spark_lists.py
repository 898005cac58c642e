"""Ranks in Python workers of Spark: ``python tests/support/spark_lists.py FOLDER``.

A process of its own: Spark starts a Java machine and more, and says more than a test's warnings may.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pyarrow.parquet as pq

import diffrec
from diffrec.cli.recommending_lists import ListColumns, recommend_on
from support.lists import alone, assert_same_lists, prepared

K = 5


def main(folder: Path) -> None:
    """Hold the lists of Spark's workers against those of one process."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    from diffrec.integrations.spark import recommend

    os.environ["PYSPARK_PYTHON"] = sys.executable
    data, histories, models = prepared(folder, users=1500, files=4)
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    frame = spark.read.parquet(str(histories))
    for variant, times in (("ease", None), ("diffrec", "times")):
        for spread in (True, False):
            lists = recommend(frame, models[variant], K, times=times, spread=spread)
            assert lists.columns == ["user", "item", "rank", "score"]
            assert_same_lists(lists.toArrow(), alone(models[variant], data, K))
    columns = ListColumns("user", "items", None, None)
    recommend_on("spark", models["ease"], histories, columns, K, folder / "lists", 1, exclude_seen=False)
    repeated = diffrec.load(models["ease"]).recommend(data, K, exclude_seen=False).to_frame("pyarrow")
    assert_same_lists(pq.read_table(folder / "lists"), repeated)
    print("equal")

    # A model of the same name that has changed since.
    newer = diffrec.fit(data, variant="popularity")
    newer.save(models["ease"])
    assert_same_lists(recommend(frame, models["ease"], K).toArrow(), alone(models["ease"], data, K))
    # From a row for each event, and a model that is no file yet; users are numbers.
    data.write(folder / "events.parquet")
    events = spark.read.parquet(str(folder / "events.parquet")).withColumn(
        "user", f.substring("user", 2, 9).cast("long")
    )
    grouped = events.groupBy("user").agg(f.collect_list("item").alias("items"))
    table = recommend(grouped, newer, K).toArrow()
    names = table["user"].to_pylist()
    assert_same_lists(
        table.set_column(0, "user", [[f"u{name}" for name in names]]), newer.recommend(data, k=K).to_frame("pyarrow")
    )
    print("equal again")
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

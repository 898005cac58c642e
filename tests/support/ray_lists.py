"""Ranks in actors of Ray, one of which is killed at work: ``python tests/support/ray_lists.py FOLDER``.

A process of its own: Ray starts a dozen, and says more than a test's warnings may.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pyarrow.parquet as pq

import diffrec
from diffrec.cli.recommending_lists import ListColumns, recommend_on
from support.lists import alone, assert_same_lists, prepared

K = 5
#: How often everybody is ranked while an actor is killed.
TIMES = 6


def offspring(process: int) -> list[int]:
    """The processes that come from one, of all generations."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, left = [], [process]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def actors() -> list[int]:
    """The processes of this one's actors that have their model."""
    found = []
    for process in offspring(os.getpid()):
        try:
            title = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if b"_Ranker" in title and b"IDLE" not in title:
            found.append(process)
    return found


def kill_one(done: threading.Event, killed: list[int]) -> None:
    """Kill an actor that has ranked for a while."""
    while not done.wait(0.05):
        busy = actors()
        if busy and any(Path(os.environ["LISTS"]).glob("*.parquet")):
            os.kill(busy[0], signal.SIGKILL)
            killed.append(busy[0])
            return


def main(folder: Path) -> None:
    """Hold the lists of actors against those of one process."""
    import ray

    from diffrec.integrations.ray import recommend

    data, histories, models = prepared(folder, users=2000)
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    # Small batches and two actors, so that there is work left when one of them is killed.
    table, many = pq.read_table(histories), folder / "many"
    many.mkdir()
    for number in range(TIMES):
        pq.write_table(table, many / f"{number}.parquet")
    out = folder / "lists-killed"
    os.environ["LISTS"] = str(out)
    killed: list[int] = []
    done = threading.Event()
    watch = threading.Thread(target=kill_one, args=(done, killed))
    watch.start()
    started = time.monotonic()
    try:
        recommend(
            ray.data.read_parquet(str(many)), models["ease"], K, batch_size=50, actors=2, num_cpus=0.5
        ).write_parquet(str(out))
    finally:
        done.set()
        watch.join()
    assert killed, f"it was over in {time.monotonic() - started:.1f} s, before an actor could be killed"
    wanted = alone(models["ease"], data, K)
    found = pq.read_table(out)
    assert found.num_rows == TIMES * wanted.num_rows
    counts = found.group_by(["user", "item", "rank"]).aggregate([("score", "count")])
    assert set(counts["score_count"].to_pylist()) == {TIMES}
    assert counts.num_rows == wanted.num_rows
    print("killed one, lost nothing", flush=True)

    columns = ListColumns("user", "items", "times", None)
    recommend_on("ray", models["diffrec"], histories, columns, K, folder / "lists", 1, exclude_seen=False)
    repeated = diffrec.load(models["diffrec"]).recommend(data, K, exclude_seen=False).to_frame("pyarrow")
    assert_same_lists(pq.read_table(folder / "lists"), repeated)
    print("equal")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

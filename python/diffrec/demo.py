"""The main job from end to end: ``python -m diffrec.demo [FILE]``.

Without a file it generates a world of readers and books; with one it reads your interactions. It parts them, fits,
measures the model against popularity, shows what a few users get, and saves and reloads the model.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

import diffrec
from diffrec import Interactions, Recommender, Report, Split, datasets
from diffrec._shown import harmless
from diffrec.data._reshape import newest_first
from diffrec.data.files import holds_split
from diffrec.ranking import NO_ITEM
from diffrec.training.report import print_epoch

USERS_SHOWN = 3
TITLES_SHOWN = 6


def main(arguments: Sequence[str] = ()) -> None:
    """Run the demonstration on the file named, or on a generated world."""
    if len(arguments) > 1:
        raise SystemExit("usage: python -m diffrec.demo [FILE]")
    data, split = _load(arguments[0] if arguments else None)
    print(data, end="\n\n")

    variant: Literal["diffrec", "t-diffrec"] = "diffrec" if data.timestamps is None else "t-diffrec"
    started = time.perf_counter()
    # Short histories leave nothing to stop on.
    valid = split.valid if len(split.valid) else None
    model = diffrec.fit(split.train, variant=variant, valid=valid, callbacks=[print_epoch])
    print(f"{variant} fitted in {time.perf_counter() - started:.1f} s", end="\n\n")

    popularity = diffrec.fit(split.train, variant="popularity")
    ours, theirs = (m.evaluate(split.test, seen=valid, k=(10, 20)) for m in (model, popularity))
    print(_comparison({variant: ours, "popularity": theirs}), end="\n\n")

    _show_users(model, split)
    _save_and_reload(model)


def _load(path: str | None) -> tuple[Interactions, Split]:
    if path is None:
        data = datasets.synthetic()
    elif holds_split(path):
        return Interactions.read(path), Split.read(path)
    else:
        data = Interactions.read(path)
    return data, data.split(by=None)


def _comparison(reports: dict[str, Report]) -> str:
    names = ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "coverage@20")
    lines = ["".ljust(14) + "".join(name.rjust(13) for name in names)]
    lines += [f"{who:14}" + "".join(f"{report[name]:13.4f}" for name in names) for who, report in reports.items()]
    return "\n".join(lines)


def _show_users(model: Recommender, split: Split) -> None:
    """Print a few users' newest items beside what is recommended to them; a star marks what they did take later."""
    train, test = split.train, split.test
    titles = np.array([harmless(title) for title in train.item_labels.astype(str).tolist()])
    active = np.flatnonzero(np.minimum(np.diff(train.matrix.indptr), np.diff(test.matrix.indptr)) >= TITLES_SHOWN // 2)
    shown = active[np.linspace(0, len(active) - 1, min(USERS_SHOWN, len(active)), dtype=np.int64)]
    top = model.recommend(train.users.ids[shown], k=TITLES_SHOWN)
    for user, recommended, row in zip(top.users, top.item_rows, shown, strict=True):
        history, later = train.take([row]), test.take([row]).matrix.indices
        newest = newest_first(history.timestamps, len(history))
        past = titles[history.matrix.indices[newest[:TITLES_SHOWN]]]
        best = [("* " if item in later else "  ") + titles[item] for item in recommended if item != NO_ITEM]
        width = max(map(len, [*past, "has lately"])) + 4
        print(f"user {harmless(str(user))}\n  {'has lately':{width}}is recommended (* = taken later)")
        for left, right in itertools.zip_longest(past, best, fillvalue=""):
            print(f"  {left:{width}}{right}")
        print()


def _save_and_reload(model: Recommender) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.diffrec"
        model.save(path)
        again = diffrec.load(path)
        same = np.array_equal(model.recommend(k=10).items, again.recommend(k=10).items)
        size = path.stat().st_size / 1e6
    if not same:
        raise SystemExit("the reloaded model recommends something else than the saved one")
    print(f"saved ({size:.1f} MB), reloaded, and it recommends the same")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Fits one model of one library and writes its lists: ``benches/peers.py`` runs it in that library's environment.

    python peer_workers.py implicit als FOLDER '{"factors": 64}'

``FOLDER/parts.npz`` has ``shape``, ``train`` and ``valid`` as (n, 2) arrays of user and item numbers, and
``train_time`` where there is an order. Written beside it are ``short.npy``, the best 20 items of every user of train
without what the user has there, and ``long.npy``, as many more as any user has items in valid: -1 where a list is
short. Nothing of this knows the test part. The last line of the output is JSON: seconds of the fit and of the short
lists, the peak of the process in MB, and the version. Making a library's own kind of data set of the arrays, and
importing it, is not timed.

Needs NumPy, SciPy and the library alone. A function here takes the model's name, its settings and the parts, and
returns two others: one fits, one takes k and gives a list for each of ``parts.users``.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

K = 20
Fit = Callable[[], object]
Rank = Callable[[int], NDArray[np.int32]]


class Parts(NamedTuple):
    """What is learnt from, and what settings are chosen by."""

    folder: Path
    shape: tuple[int, int]
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    time: NDArray[np.int64] | None

    @property
    def users(self) -> NDArray[np.int64]:
        return np.unique(self.train[:, 0])

    @property
    def matrix(self) -> sparse.csr_matrix:
        ones = np.ones(len(self.train), dtype=np.float32)
        return sparse.csr_matrix((ones, self.train.T), shape=self.shape)

    def frame(self, **names: str) -> Any:
        """Train as a data frame, for libraries that take one; ``names`` are its columns for user, item and time."""
        import pandas as pd

        # Where there is no order, libraries that ask for times get the place in the file.
        clock = np.arange(len(self.train)) if self.time is None else self.time
        columns = {"user": self.train[:, 0], "item": self.train[:, 1], "time": pd.to_datetime(clock, unit="s")}
        return pd.DataFrame({name: columns[what] for what, name in names.items()})


def filled(lists: dict[int, Any], users: NDArray[np.int64], k: int) -> NDArray[np.int32]:
    """Lists of a user each, of any length, as rows of k."""
    rows = np.full((len(users), k), -1, dtype=np.int32)
    for row, user in zip(rows, users.tolist(), strict=True):
        items = np.asarray(lists.get(user, ()), dtype=np.int32)[:k]
        row[: len(items)] = items
    return rows


def diffrec(name: str, settings: dict[str, Any], parts: Parts) -> tuple[Fit, Rank]:
    import diffrec

    if name not in ("ease", "ials", "itemknn"):  # these do without
        import torch  # noqa: F401 - waiting for it is no part of a fit

    train = diffrec.Interactions.from_arrays(parts.train[:, 0], parts.train[:, 1], timestamp=parts.time)
    found: list[diffrec.Recommender] = []

    def rank(k: int) -> NDArray[np.int32]:
        items = found[0].recommend(parts.users, k=min(k, train.shape[1])).item_rows
        rows = np.where(items < 0, -1, train.items.ids[items])
        return np.pad(rows, ((0, 0), (0, k - rows.shape[1])), constant_values=-1)

    return lambda: found.append(diffrec.fit(train, variant=name, progress=False, **settings)), rank


def implicit(name: str, settings: dict[str, Any], parts: Parts) -> tuple[Fit, Rank]:
    from implicit.als import AlternatingLeastSquares
    from implicit.bpr import BayesianPersonalizedRanking
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

    kinds = {
        "als": AlternatingLeastSquares,
        "bpr": BayesianPersonalizedRanking,
        "cosine": CosineRecommender,
        "bm25": BM25Recommender,
    }
    seed = {"random_state": 0} if name in ("als", "bpr") else {}
    model, matrix = kinds[name](**seed, **settings), parts.matrix

    def rank(k: int) -> NDArray[np.int32]:
        items, scores = model.recommend(parts.users, matrix[parts.users], N=k)
        # What is left out, and places without an item, have the least score there is.
        return np.where(scores > -1e30, items, -1).astype(np.int32)

    return lambda: model.fit(matrix, show_progress=False), rank


def recbole(name: str, settings: dict[str, Any], parts: Parts) -> tuple[Fit, Rank]:
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed
    from recbole.utils.case_study import full_sort_topk

    # Its checkpoints are whole objects, which torch has not read by default since 2.6.
    read = torch.load
    torch.load = lambda *args, **named: read(*args, **(named | {"weights_only": False}))
    folder = parts.folder / "peers"
    folder.mkdir(exist_ok=True)
    for part, pairs in (("train", parts.train), ("valid", parts.valid)):
        lines = "\n".join(f"{user}\t{item}" for user, item in pairs.tolist())
        (folder / f"peers.{part}.inter").write_text(f"user_id:token\titem_id:token\n{lines}\n")
    said = {
        "data_path": str(parts.folder),
        "checkpoint_dir": str(folder),
        "benchmark_filename": ["train", "valid", "valid"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "use_gpu": False,
        "show_progress": False,
        "topk": [K],
        "valid_metric": f"NDCG@{K}",
        "metrics": ["NDCG"],
    }
    if name in ("MultiVAE", "DiffRec"):  # these sample no items that are not taken, and say so
        said["train_neg_sample_args"] = None
    sys.argv = sys.argv[:1]  # which it would read
    config = Config(model=name, dataset="peers", config_dict=said | settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, valid, _ = data_preparation(config, dataset)
    model = get_model(name)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)

    def fit() -> None:
        trainer.fit(train, valid, verbose=False, saved=True, show_progress=False)
        state = torch.load(trainer.saved_model_file)
        model.load_state_dict(state["state_dict"])
        model.load_other_parameter(state.get("other_parameter"))

    def rank(k: int) -> NDArray[np.int32]:
        tokens = np.array([-1, *map(int, dataset.field2id_token["item_id"][1:])], dtype=np.int32)
        asked = dataset.token2id("user_id", parts.users.astype(str))
        # Of users without items in valid it knows no history.
        for row, user in zip(asked, parts.users, strict=True):
            if valid.uid2history_item[row] is None:
                own = parts.train[parts.train[:, 0] == user, 1].astype(str)
                valid.uid2history_item[row] = torch.as_tensor(dataset.token2id("item_id", own))
        blocks = np.array_split(asked, max(len(asked) // 1000, 1))
        found = [full_sort_topk(block, model, valid, min(k, len(tokens) - 1)) for block in blocks]
        rows = np.concatenate([np.where(scores > -np.inf, tokens[items], -1) for scores, items in found])
        return np.pad(rows, ((0, 0), (0, k - rows.shape[1])), constant_values=-1)

    return fit, rank


def rectools(name: str, settings: dict[str, Any], parts: Parts) -> tuple[Fit, Rank]:
    import torch
    from rectools import models
    from rectools.dataset import Dataset

    torch.manual_seed(0)
    frame = parts.frame(user="user_id", item="item_id", time="datetime")
    if "period" in settings:
        settings = settings | {"period": timedelta(days=settings["period"])}
    dataset, model = Dataset.construct(frame.assign(weight=1.0)), getattr(models, name)(**settings)

    def rank(k: int) -> NDArray[np.int32]:
        top = model.recommend(parts.users, dataset, k=k, filter_viewed=True, on_unsupported_targets="ignore")
        return filled({user: rows["item_id"] for user, rows in top.groupby("user_id")}, parts.users, k)

    return lambda: model.fit(dataset), rank


def lenskit(name: str, settings: dict[str, Any], parts: Parts) -> tuple[Fit, Rank]:
    from lenskit import topn_pipeline
    from lenskit.als import ImplicitMFScorer
    from lenskit.batch import recommend
    from lenskit.data import from_interactions_df
    from lenskit.knn import EASEScorer, ItemKNNScorer

    scorer = {"als": ImplicitMFScorer, "ease": EASEScorer, "itemknn": ItemKNNScorer}[name](**settings)
    dataset = from_interactions_df(parts.frame(user="user_id", item="item_id"), class_name="interaction")
    pipeline = topn_pipeline(scorer)

    def rank(k: int) -> NDArray[np.int32]:
        top = recommend(pipeline, parts.users, n=k, n_jobs=1)
        return filled({key.user_id: items.ids() for key, items in top}, parts.users, k)

    return lambda: pipeline.train(dataset), rank


def cornac(name: str, settings: dict[str, Any], parts: Parts) -> tuple[Fit, Rank]:
    from cornac import models
    from cornac.data import Dataset

    train = Dataset.from_uir([(user, item, 1.0) for user, item in parts.train.tolist()], seed=0)
    model = getattr(models, name)(seed=0, verbose=False, **settings)

    def rank(k: int) -> NDArray[np.int32]:
        asked = min(k, train.num_items)
        lists = {one: model.recommend(one, asked, remove_seen=True, train_set=train) for one in parts.users.tolist()}
        return filled(lists, parts.users, k)

    return lambda: model.fit(train), rank


def main() -> None:
    """Fit, rank, and say what it took."""
    library, name, folder, settings = sys.argv[1:]
    warnings.simplefilter("ignore")
    with np.load(Path(folder, "parts.npz")) as file:
        arrays = {key: file[key] for key in file.files}
    shape = (int(arrays["shape"][0]), int(arrays["shape"][1]))
    parts = Parts(Path(folder), shape, arrays["train"], arrays["valid"], arrays.get("train_time"))
    fit, rank = globals()[library](name, json.loads(settings), parts)
    started = time.perf_counter()
    fit()
    fitted = time.perf_counter()
    short = rank(K)
    ranked = time.perf_counter()
    long = rank(K + int(np.bincount(parts.valid[:, 0]).max()))
    for length, lists in (("short", short), ("long", long)):
        np.save(Path(folder, f"{length}.npy"), lists.astype(np.int32))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) * 1024 / 1e6
    said = {"fit_s": fitted - started, "rank_s": ranked - fitted, "peak_mb": peak, "version": version(library)}
    print(json.dumps(said))


if __name__ == "__main__":
    main()

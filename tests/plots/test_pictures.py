"""Pictures: what stands in them, what they refuse, and that they need neither display nor pyplot."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

import diffrec
from diffrec import DiffRec, Recommender, plots
from diffrec.comparison import Comparison
from diffrec.plots import grouping
from diffrec.plots.numbers import principal_plane
from diffrec.plots.style import short
from diffrec.recommenders.diffrec.groups import svd_embeddings

DATA = diffrec.datasets.synthetic(users=90, items=60, seed=1)
SPLIT = DATA.split()
TRAIN, VALID, TEST = SPLIT
QUICK: dict[str, Any] = {"dims": (8,), "epochs": 6, "validate_every": 2, "lr": 0.01, "progress": False}


@pytest.fixture(scope="module")
def model() -> Recommender:
    return diffrec.fit(TRAIN, valid=VALID, steps=6, anchor=True, anchor_scale=2.0, **QUICK)


@pytest.fixture(scope="module")
def rivals() -> dict[str, Recommender]:
    return {name: diffrec.fit(TRAIN, variant=name) for name in ("popularity", "itemknn")}


@pytest.fixture(scope="module")
def latent() -> DiffRec:
    found = diffrec.fit(TRAIN, variant="l-diffrec", groups=3, latent_dims=(6,), holdout=0, **QUICK)
    assert isinstance(found, DiffRec)
    return found


@pytest.fixture(scope="module")
def table() -> Comparison:
    net = {"variant": "diffrec", **QUICK}
    net.pop("progress")
    return diffrec.compare(SPLIT, {"popularity": {}, "itemknn": {}, "net": net}, seeds=2, k=[5, 10], progress=False)


def drawn(figure: Figure) -> Figure:
    """Lay everything out, as saving does; what overlaps or cannot be drawn would warn."""
    figure.canvas.draw()
    return figure


def heights(container: ErrorbarContainer) -> np.ndarray:
    """Ends (n, 2) of the bars."""
    return np.array([segment[:, 1] for segment in container[2][0].get_segments()])


# -- training, and metrics by k ------------------------------------------------------------------------------------


def test_training_shows_every_epoch_and_the_best(model: Recommender) -> None:
    loss, validation = drawn(plots.training(model)).axes
    report = model.training_
    assert loss.lines[0].get_xydata().tolist() == [[e.epoch, e.loss] for e in report.epochs]
    assert validation.lines[0].get_xydata().tolist() == [[e.epoch, e.validation] for e in report.epochs if e.validation]
    assert validation.lines[1].get_xydata().tolist() == [[report.best_epoch, report.best_validation]]
    assert (loss.get_ylabel(), validation.get_ylabel(), validation.get_xlabel()) == (
        "training loss",
        "recall@20",
        "epoch",
    )
    assert f"{report.best_validation:.4f} in epoch {report.best_epoch}" in validation.get_title(loc="left")


def test_training_without_validation_is_one_panel() -> None:
    (axes,) = drawn(plots.training(diffrec.fit(TRAIN, holdout=0, **QUICK | {"epochs": 1}))).axes
    assert axes.get_xlabel() == "epoch"
    assert axes.get_title(loc="left").startswith("DiffRec: 1 epoch in ")


def test_a_steep_loss_is_shown_by_its_logarithm(model: Recommender) -> None:
    report = model.training_
    steep = [dataclasses.replace(e, loss=100.0 / 4**e.epoch) for e in report.epochs]
    other = DiffRec(**model.get_params())
    other.__dict__ |= model.__dict__
    other.training_ = dataclasses.replace(report, epochs=steep)
    assert [drawn(plots.training(m)).axes[0].get_yscale() for m in (model, other)] == ["linear", "log"]


def test_metric_by_k_is_what_evaluate_says(model: Recommender, rivals: dict[str, Recommender]) -> None:
    (axes,) = drawn(plots.metric_by_k({"net": model, **rivals}, TEST, seen=VALID, metric="ndcg", k=(10, 1, 5))).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["net", "popularity", "itemknn"]
    report = model.evaluate(TEST, seen=VALID, k=[1, 5, 10])
    assert axes.lines[0].get_xydata().tolist() == [[k, report[f"ndcg@{k}"]] for k in (1, 5, 10)]
    assert len(axes.lines) == len(axes.collections) == 3
    # The band of the first k reaches as far to both sides as its interval.
    error = 1.96 * report.per_user["ndcg@1"].std(ddof=1) / np.sqrt(len(report.users))
    band = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(np.ptp(band[band[:, 0] == 1][:, 1]), 2 * error)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "5", "10"]


def test_coverage_has_no_band_and_lengths_beyond_the_items_are_left_out(model: Recommender) -> None:
    (axes,) = drawn(plots.metric_by_k(model, TEST, metric="coverage", k=(5, 60, 61))).axes
    assert axes.lines[0].get_xdata().tolist() == [5, 60]
    assert len(axes.collections) == 0
    assert axes.get_legend() is None


def test_many_lengths_are_not_named_one_by_one(model: Recommender) -> None:
    (axes,) = drawn(plots.metric_by_k(model, TEST, k=range(1, 41))).axes
    assert len(axes.lines[0].get_xdata()) == 40
    assert len([label for label in axes.get_xticklabels() if label.get_text()]) <= 8


# -- breakdowns ----------------------------------------------------------------------------------------------------


def test_recall_by_activity(model: Recommender, rivals: dict[str, Recommender]) -> None:
    (axes,) = drawn(plots.recall_by_activity({"net": model, **rivals}, TEST, seen=VALID, k=10, bins=3)).axes
    report = model.evaluate(TEST, seen=VALID, k=[10])
    activity = np.diff(TRAIN.matrix.indptr)[TRAIN.users.rows(report.users)]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(labels) == 3
    assert len(axes.containers) == 3
    for label, shown, ends in zip(labels, axes.containers[0][0].get_ydata(), heights(axes.containers[0]), strict=True):
        low, high, users = map(int, re.fullmatch(r"(\d+)–(\d+)\n(\d+) users", label).groups())  # type: ignore[union-attr]  # noqa: RUF001
        inside = report.per_user["recall@10"][(activity >= low) & (activity <= high)]
        assert users == len(inside)
        assert shown == pytest.approx(inside.mean())
        np.testing.assert_allclose(np.ptp(ends), 2 * 1.96 * inside.std(ddof=1) / np.sqrt(users))
    assert axes.get_ylabel().startswith("recall@10")


def test_recall_by_popularity(model: Recommender) -> None:
    (axes,) = drawn(plots.recall_by_popularity(model, TEST, seen=VALID, k=10, bins=4)).axes
    masked = (TRAIN.matrix.toarray() + VALID.matrix.toarray()) > 0
    lists = np.argsort(np.where(masked, np.inf, -model.score()), axis=1, kind="stable")[:, :10]
    wanted = TEST.matrix.toarray() > 0
    hit = np.zeros_like(wanted)
    np.put_along_axis(hit, lists, np.take_along_axis(wanted, lists, axis=1), axis=1)
    popularity = (TRAIN.matrix.toarray() > 0).sum(axis=0)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    for label, shown in zip(labels, axes.containers[0][0].get_ydata(), strict=True):
        spelled = re.fullmatch(r"(\d+)–(\d+)\n(\d+) items\n(\d+) in test", label)  # noqa: RUF001
        assert spelled
        low, high, items, tests = map(int, spelled.groups())
        inside = (popularity >= low) & (popularity <= high)
        assert (items, tests) == (inside.sum(), wanted[:, inside].sum())
        assert shown == pytest.approx(hit[:, inside].sum() / tests)


def test_models_of_different_data_are_not_drawn_together(model: Recommender) -> None:
    other = diffrec.fit(DATA, variant="popularity")
    with pytest.raises(ValueError, match="fitted on the same interactions; 'net' and 'pop' were not"):
        plots.recall_by_activity({"net": model, "pop": other}, TEST)


# -- diffusion -----------------------------------------------------------------------------------------------------


def test_schedule_is_the_papers() -> None:
    """Equations 1, 2, 4 and 10, with the authors' first beta."""
    models = {"one": DiffRec(steps=5, noise_scale=0.1), "two": DiffRec(steps=9, noise_schedule="cosine")}
    beta, alpha_bar, snr = drawn(plots.schedule(models)).axes
    variance = 0.1 * np.linspace(0.001, 0.02, 5)  # eq. 4: 1 - alpha_bar
    left = 1 - variance
    betas = np.concatenate([[1e-5], 1 - left[1:] / left[:-1]])
    kept = np.cumprod(1 - betas)
    for axes, expected in ((beta, betas), (alpha_bar, kept), (snr, kept / (1 - kept))):
        assert axes.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5]
        np.testing.assert_allclose(axes.lines[0].get_ydata(), expected)
        assert len(axes.lines[1].get_xdata()) == 9
        assert axes.get_xlabel() == "step t"
        assert axes.get_ylabel()
    assert (beta.get_yscale(), alpha_bar.get_yscale(), snr.get_yscale()) == ("log", "linear", "log")
    assert [text.get_text() for text in beta.get_legend().get_texts()] == ["one", "two"]


def test_reverse_process_shows_the_steps_of_what_is_recommended(model: DiffRec) -> None:
    scores_of, ranks_of, _bar = drawn(plots.reverse_process(model, DATA.users[4], k=7)).axes
    top, scores = model.recommend(4, k=7), model.step_scores(4)
    heat = scores_of.images[0].get_array()
    np.testing.assert_array_equal(heat, scores[:, top.item_rows[0]].T)
    np.testing.assert_allclose(heat[:, -1], top.scores[0], rtol=1e-5)
    assert [label.get_text() for label in scores_of.get_yticklabels()] == [short(item) for item in top.items[0]]
    unseen = np.setdiff1d(np.arange(60), TRAIN.matrix[4:5].indices)
    lines = ranks_of.lines[:7]
    for item, line, label in zip(top.item_rows[0], lines, scores_of.get_yticklabels(), strict=True):
        ranks = [1 + (scores[step, unseen] > scores[step, item]).sum() for step in range(6)]
        assert list(line.get_ydata()) == ranks
        assert (line.get_color() == label.get_color()) == (ranks[0] > 7)
    assert [line.get_ydata()[-1] for line in lines] == list(range(1, 8))
    # The first column is x_{T-1}, the last x_0.
    ticks = dict(zip(scores_of.get_xticks(), (t.get_text() for t in scores_of.get_xticklabels()), strict=True))
    assert (ticks[0], ticks[5]) == ("5", "0")


@pytest.mark.parametrize(("steps", "k"), [(1, 1), (1, 60), (200, 3), (5, 60)])
def test_reverse_process_of_any_length(steps: int, k: int) -> None:
    net = diffrec.fit(TRAIN, steps=steps, holdout=0, **QUICK | {"epochs": 1})
    assert isinstance(net, DiffRec)
    figure = drawn(plots.reverse_process(net, 4, k=k))
    items = min(k, 60 - TRAIN.matrix[4:5].nnz)
    assert figure.axes[0].images[0].get_array().shape == (items, steps)
    for axes in figure.axes[:2]:
        assert 1 <= len(axes.get_xticks()) <= 9


def test_reverse_process_of_a_stranger(model: DiffRec) -> None:
    stranger = TRAIN.take([4])
    axes = drawn(plots.reverse_process(model, stranger, k=3)).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array()[:, -1], model.recommend(stranger, 3).scores[0], rtol=1e-5)


def test_titles_stand_for_items_where_there_are_some() -> None:
    titled = diffrec.Interactions.from_arrays(
        [0, 0, 1], [0, 1, 1], items=np.arange(3), item_info={"title": ["Tea", "Milk", "A" * 40]}
    )
    net = DiffRec(**QUICK | {"holdout": 0}).fit(titled)
    labels = [label.get_text() for label in plots.reverse_process(net, 1, k=2).axes[0].get_yticklabels()]
    assert sorted(labels) == ["A" * 31 + "…", "Tea"]


def test_groups_are_where_their_embeddings_are(latent: DiffRec) -> None:
    (axes,) = drawn(plots.groups(latent)).axes
    plane, shares = principal_plane(svd_embeddings(TRAIN))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    for group, points in enumerate(axes.collections):
        members = latent.item_groups_ == group
        np.testing.assert_allclose(points.get_offsets(), plane[members], atol=1e-6)
        assert labels[group] == f"group {group}: {members.sum()} items"
    assert f"{shares[0]:.0%} of the variance" in axes.get_xlabel()


def test_groups_of_given_embeddings(tmp_path: Path) -> None:
    given = np.random.default_rng(0).normal(size=(60, 5))
    settings = QUICK | {"epochs": 1, "holdout": 0, "latent_dims": (12,)}
    net = diffrec.fit(TRAIN, variant="l-diffrec", groups=9, item_embeddings=given, **settings)
    assert isinstance(net, DiffRec)
    expected = principal_plane(given.astype(np.float32))[0][net.item_groups_ == 8]
    np.testing.assert_allclose(drawn(plots.groups(net)).axes[0].collections[8].get_offsets(), expected, atol=1e-5)
    net.save(tmp_path / "net.diffrec")
    loaded = diffrec.load(tmp_path / "net.diffrec")
    assert isinstance(loaded, DiffRec)
    with pytest.raises(ValueError, match="item_embeddings must be given"):
        plots.groups(loaded)
    points = plots.groups(loaded, item_embeddings=given).axes[0].collections[8].get_offsets()
    np.testing.assert_allclose(points, expected, atol=1e-5)


def test_groups_of_a_loaded_model_are_drawn_by_what_they_were_made_of(
    latent: DiffRec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latent.save(tmp_path / "net.diffrec")
    loaded = diffrec.load(tmp_path / "net.diffrec")
    assert isinstance(loaded, DiffRec)
    np.testing.assert_array_equal(
        plots.groups(loaded).axes[0].collections[0].get_offsets(),
        plots.groups(latent).axes[0].collections[0].get_offsets(),
    )
    learnt = []
    monkeypatch.setattr(grouping, "embed_items", lambda data, source, seed: learnt.append(source) or np.eye(60))
    loaded.training_.facts["item_embeddings"] = "lightgcn"
    assert "lightgcn" in plots.groups(loaded).axes[0].get_title(loc="left")
    assert learnt == ["lightgcn"]


# -- comparisons ---------------------------------------------------------------------------------------------------


def test_comparison_is_the_table(table: Comparison) -> None:
    figure = drawn(plots.comparison(table))
    recall, ndcg, difference, seconds = figure.axes
    assert [label.get_text() for label in recall.get_yticklabels()] == [row.name for row in table]
    for axes, kind in ((recall, "recall"), (ndcg, "ndcg")):
        assert axes.get_title(loc="left") == kind
        for container in axes.containers:
            metric = f"{kind}{container.get_label()}"
            assert container[0].get_xdata().tolist() == [row.means[metric] for row in table]
            bars = np.array([segment[:, 0] for segment in container[2][0].get_segments()])
            np.testing.assert_allclose(np.ptp(bars, axis=1) / 2, [row.deviations[metric] for row in table], atol=1e-12)
    assert [container.get_label() for container in recall.containers] == ["@5", "@10", "@20"]
    shown = [tuple(line.get_xdata()) for line in difference.lines[1:]]
    assert shown == [part for row in table for part in (row.difference[1:], row.difference[:1])]
    assert seconds.lines[0].get_xdata().tolist() == [row.seconds for row in table]
    assert figure.get_suptitle() == table.verdict
    # The best is on top.
    assert recall.get_ylim()[0] > recall.get_ylim()[1]


def test_a_lead_that_may_be_luck_is_hollow(table: Comparison) -> None:
    rows = [table[0], dataclasses.replace(table[1], difference=(-0.1, -0.2, 0.1)), table[2]]
    points = plots.comparison(Comparison(rows, table.metric, table.users)).axes[2].lines[2::2]
    assert [point.get_markerfacecolor() == "white" for point in points] == [False, True, table[2].difference[2] >= 0]


def test_what_was_left_out_is_said(table: Comparison) -> None:
    figure = drawn(plots.comparison(dataclasses.replace(table, refused={"big": "needs 8.0 TB " * 20})))
    assert "left out: big (needs 8.0 TB" in figure.get_suptitle()
    assert max(map(len, figure.get_suptitle().splitlines())) <= 13 * figure.get_figwidth()


def test_many_rivals_make_a_taller_picture(table: Comparison) -> None:
    many = Comparison([table[0]] * 12, table.metric, table.users)
    assert drawn(plots.comparison(many)).get_figheight() > plots.comparison(table).get_figheight() + 2


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda m, _: plots.training("net"), TypeError, "model must be a Recommender, got str"),
        (lambda _, r: plots.training(r["itemknn"]), ValueError, "trained by epochs, got ItemKNN"),
        (lambda *_: plots.training(DiffRec()), RuntimeError, "not fitted"),
        (lambda m, _: plots.metric_by_k({"a": m, "b": 3}, TEST), TypeError, "models['b'] must be a Recommender"),
        (lambda *_: plots.metric_by_k({}, TEST), ValueError, "at least one model"),
        (lambda m, _: plots.metric_by_k(m, TEST, metric="recal"), ValueError, "did you mean 'recall'"),
        (lambda m, _: plots.metric_by_k(m, TEST, k=(0, 5)), ValueError, "k must be at least 1, got 0"),
        (lambda m, _: plots.metric_by_k(m, TEST, k=100), ValueError, "at most the number of items, 60, got 100"),
        (lambda m, _: plots.recall_by_activity(m, TEST, bins=0), ValueError, "bins must be at least 1, got 0"),
        (lambda m, _: plots.recall_by_popularity(m, TEST, k=0), ValueError, "k must be at least 1, got 0"),
        (lambda _, r: plots.schedule(r["itemknn"]), TypeError, "models must be a DiffRec, got ItemKNN"),
        (lambda *_: plots.schedule(DiffRec(noise_scale=0)), ValueError, "noise_scale=0"),
        (lambda _, r: plots.reverse_process(r["itemknn"], 1), TypeError, "model must be a DiffRec, got ItemKNN"),
        (lambda m, _: plots.reverse_process(m, [1, 2]), ValueError, "user must be one user, got 2"),
        (lambda m, _: plots.reverse_process(m, 1, k=0), ValueError, "k must be at least 1, got 0"),
        (lambda m, _: plots.groups(m), TypeError, "has no groups of items"),
        (lambda *_: plots.comparison([1, 2]), TypeError, "table must be a Comparison, got list"),
    ],
)  # fmt: skip
def test_bad_arguments(
    draw: Callable[..., Figure],
    error: type[Exception],
    words: str,
    model: Recommender,
    rivals: dict[str, Recommender],
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        draw(model, rivals)


def test_who_has_everything_is_recommended_nothing(model: DiffRec) -> None:
    with pytest.raises(ValueError, match="user must lack an item"):
        plots.reverse_process(model, np.ones((1, 60)))


# -- figures -------------------------------------------------------------------------------------------------------


def test_figures_are_shown_by_notebooks_and_saved(model: Recommender, tmp_path: Path) -> None:
    figure = plots.training(model)
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    for name in ("training.png", "training.svg", "training.pdf"):
        figure.savefig(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000


def test_threads_draw_at_the_same_time(model: DiffRec) -> None:
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda user: plots.reverse_process(model, user, 3)._repr_png_(), [1, 2, 1, 2]))  # type: ignore[attr-defined]
    assert pictures[0] == pictures[2] != pictures[1]


def test_matplotlib_is_asked_for_late_and_without_a_display() -> None:
    code = """if True:
        import os, sys
        os.environ.pop("DISPLAY", None); os.environ.pop("MPLBACKEND", None)
        sys.modules["matplotlib"] = None  # as if it were not installed
        import diffrec
        try:
            diffrec.plots
        except ImportError as error:
            print(error)
        del sys.modules["matplotlib"]
        diffrec.plots.schedule(diffrec.DiffRec()).canvas.draw()
        print("pyplot" if "matplotlib.pyplot" in sys.modules else "no pyplot")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = ['diffrec.plots needs matplotlib: pip install "diffrec[plot]"', "no pyplot"]
    assert done.stdout.splitlines() == said


def test_a_name_that_is_not_there_is_still_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'diffrec' has no attribute 'plotz'"):
        diffrec.plotz  # type: ignore[attr-defined]  # noqa: B018

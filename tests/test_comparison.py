"""Comparisons: the table, the intervals, and what is said of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import Interactions, Recommender, Split
from diffrec.comparison import bootstrap_interval
from diffrec.recommenders.registry import VARIANTS, Variant
from diffrec.training import Checkpoint

DATA = diffrec.datasets.synthetic(users=120, items=60, seed=0)


def test_a_table_of_several() -> None:
    variants: dict[str, dict[str, Any]] = {
        "popularity": {},
        "few": {"variant": "itemknn", "neighbors": 1},
        "net": {"variant": "diffrec", "dims": (8,), "epochs": 2, "holdout": 0},
    }
    table = diffrec.compare(DATA, variants, seeds=2, metric="recall@5", k=[10], progress=False)
    assert len(table) == 3
    values = [row.means["recall@5"] for row in table]
    assert values == sorted(values, reverse=True)
    by_name = {row.name: row for row in table}
    assert by_name["net"].variant == "diffrec"
    assert by_name["net"].deviations["recall@5"] > 0
    assert by_name["net"].parameters > 0 == by_name["popularity"].parameters
    assert by_name["popularity"].deviations["recall@5"] == 0
    assert all(row.seconds > 0 and row.peak_memory > 0 for row in table)
    assert table.best.difference == (0, 0, 0)
    for row in table[1:]:
        middle, low, high = row.difference
        assert low <= middle <= high
        assert middle == pytest.approx(row.means["recall@5"] - table.best.means["recall@5"], abs=1e-12)
    for word in ("popularity", "recall@5", "ndcg@10", "wins"):
        assert word in str(table)
    assert list(table.to_frame()["name"]) == [row.name for row in table]


def test_it_says_plainly_when_a_simple_rival_wins() -> None:
    table = diffrec.compare(
        DATA, {"itemknn": {}, "weak": {"variant": "diffrec", "dims": (1,), "epochs": 1, "holdout": 0}}, seeds=1
    )
    assert table.best.name == "itemknn"
    assert table.verdict.startswith("itemknn, a simple rival, wins with ndcg@20")


def test_equals_are_not_ranked_by_luck() -> None:
    table = diffrec.compare(DATA, {"a": {"variant": "popularity"}, "b": {"variant": "popularity"}})
    assert "may be luck" in table.verdict


def test_a_ready_split_is_used_as_it_is() -> None:
    split = DATA.split(by="random", seed=5)
    table = diffrec.compare(split, ["popularity"])
    expected = diffrec.fit(split.train, variant="popularity").evaluate(split.test, seen=split.valid)
    assert table.best.means["ndcg@20"] == expected["ndcg@20"]
    assert table.users == len(expected.users)


def test_what_does_not_fit_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class Greedy(Recommender):
        variant = "greedy"
        seedless = True

        def _fit(self, train: Interactions, valid: Interactions | None) -> None:
            raise MemoryError("needs 8.0 TB; use 'itemknn' instead")

        _scores = _state = _restore = None  # type: ignore[assignment]

    monkeypatch.setitem(VARIANTS, "greedy", Variant(Greedy))
    timeless = Interactions.from_csr(DATA.matrix)
    table = diffrec.compare(timeless, ["greedy", "t-diffrec", "popularity"], k=20, seeds=1)
    assert [row.name for row in table] == ["popularity"]
    assert "greedy: needs 8.0 TB" in str(table)
    assert "t-diffrec: " in str(table)
    assert "timestamps" in table.refused["t-diffrec"]
    with pytest.raises(ValueError, match="greedy: needs 8.0 TB"):
        diffrec.compare(DATA, ["greedy"])


def test_short_histories_leave_no_validation() -> None:
    short = Interactions.from_arrays(np.repeat(np.arange(20), 3), np.arange(60) % 11, timestamp=np.arange(60))
    assert len(short.split(by="leave-last", valid=0.0).valid) == 0
    split = short.split(by="leave-last", valid=0.0)
    table = diffrec.compare(split, {"popularity": {}, "multidae": {"epochs": 1, "dims": (4,), "latent": 2}}, seeds=1)
    assert {row.name for row in table} == {"popularity", "multidae"}


def test_the_next_basket_is_another_question() -> None:
    """Whoever took an item takes it again: only where repeats count can that be found."""
    users, items = np.repeat(np.arange(30), 3), np.tile(np.arange(3), 30)
    items = (items + users) % 11
    train = Interactions.from_arrays(users, items, timestamp=np.tile(np.arange(3), 30), items=np.arange(11))
    test = Interactions.from_arrays(
        np.repeat(np.arange(30), 2),
        np.concatenate([[u % 11, (u + 5) % 11] for u in range(30)]),
        users=train.users,
        items=train.items,
    )
    split = Split(train, train.where(np.zeros(len(train), dtype=bool)), test)
    found, again = (
        diffrec.compare(split, ["ease"], exclude_seen=exclude, k=[3], metric="recall@3") for exclude in (True, False)
    )
    model = diffrec.fit(train, variant="ease")
    assert found.best.means["recall@3"] == model.evaluate(test, k=3)["recall@3"]
    assert again.best.means["recall@3"] == model.evaluate(test, exclude_seen=False, k=3)["recall@3"]
    assert model.evaluate(test, k=3).repeats_left_out == 30


def test_a_seed_among_the_settings_is_the_one_taken() -> None:
    quick = {"variant": "multidae", "epochs": 1, "dims": (4,), "latent": 2}
    table = diffrec.compare(DATA, {"three": {"seed": 3, **quick}, "again": {"seed": 3, **quick}}, seeds=2)
    one, other = table
    assert one.means == other.means
    assert set(one.deviations.values()) == {0.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"variants": ["difrec"]}, "did you mean 'diffrec'"),
        ({"variants": {"mine": {"l2": 1.0}}}, "got 'mine'; a name of your own needs variant= among its settings"),
        ({"variants": []}, "at least one"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"metric": "auc"}, "metric must be one of"),
        ({"metric": "coverage@5"}, "coverage"),
        ({"by": "tiem"}, "did you mean 'time'"),
        ({"by": "users"}, "by='users' leaves those who are judged without a history in train"),
        ({"data": DATA.split(by="users")}, "holds out whole users"),
        ({"data": DATA.split(), "by": "time"}, "by='time' says how to split interactions, and data is a split already"),
        ({"k": [0]}, "k must be at least 1, got 0"),
        ({"variants": {"popularity": {}, "ease": {"repeats": "include"}}}, "repeats='include' of 'ease' asks another"),
        ({"variants": {"popularity": {}, "ease": {"l2": -1.0}}}, "l2 must be above 0, got -1.0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffrec.Popularity, "_fit", lambda *_: pytest.fail("something is fitted first"))
    with pytest.raises(ValueError, match=words):
        diffrec.compare(**{"data": DATA, **arguments})


def test_the_interval_is_the_normal_one_for_many_users() -> None:
    differences = np.random.default_rng(0).normal(0.3, 2.0, 4000)
    middle, low, high = bootstrap_interval(differences, resamples=4000)
    error = differences.std() / np.sqrt(len(differences))
    assert middle == differences.mean()
    assert low == pytest.approx(middle - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(middle + 1.96 * error, abs=0.1 * error)


class Stopped(Exception):
    """Raised in the middle of a comparison."""


def test_a_comparison_that_stops_goes_on(tmp_path: Path) -> None:
    data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    variants = {"popularity": {}, "diffrec": {"dims": (8,), "epochs": 3, "holdout": 0}, "ease": {"l2": 5.0}}
    whole = diffrec.compare(data, variants, seeds=2, progress=False)
    stops, fitted = 0, []
    keep, fit = Checkpoint.keep, diffrec.Popularity._fit
    while True:
        with pytest.MonkeyPatch.context() as patch:
            left = iter([False] * 3 + [True])

            def keep_and_stop(self: Checkpoint, *arguments: Any, left: Any = left, **named: Any) -> bool:
                written = keep(self, *arguments, **named)
                if next(left):
                    raise Stopped
                return written

            patch.setattr(Checkpoint, "keep", keep_and_stop)
            patch.setattr(diffrec.Popularity, "_fit", lambda *arguments: (fitted.append(1), fit(*arguments))[1])
            try:
                table = diffrec.compare(data, variants, seeds=2, progress=False, checkpoint=tmp_path / "c")
                break
            except Stopped:
                stops += 1
    assert stops > 2
    assert len(fitted) == 1
    assert [row.means for row in table] == [row.means for row in whole]
    assert [row.deviations for row in table] == [row.deviations for row in whole]
    assert [row.difference for row in table] == [row.difference for row in whole]
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
    with pytest.raises(diffrec.CheckpointError, match="of seeds=2, and this is seeds=3"):
        diffrec.compare(data, variants, seeds=3, progress=False, checkpoint=tmp_path / "c")


def test_several_sets_are_one_table_with_average_ranks(tmp_path: Path) -> None:
    sets = {"one": DATA, "two": diffrec.datasets.synthetic(users=90, items=50, seed=3)}
    variants = {"popularity": {}, "twin": {"variant": "popularity"}, "itemknn": {}}
    file = tmp_path / "progress"
    table = diffrec.compare(sets, variants, k=[5], metric="ndcg@5", progress=False, checkpoint=file)
    assert isinstance(table, diffrec.Comparisons)
    assert list(table) == ["one", "two"]
    alone = diffrec.compare(DATA, variants, k=[5], metric="ndcg@5", progress=False)
    assert {row.name: row.means for row in table["one"]} == {row.name: row.means for row in alone}
    for name in ("popularity", "twin"):
        ranks = [(1.5 if row_best(table[one]) == "popularity" else 2.5) for one in table]
        assert table.average_ranks[name] == pytest.approx(np.mean(ranks))
    assert sum(table.average_ranks.values()) == pytest.approx(6)
    assert list(table.average_ranks) == sorted(table.average_ranks, key=table.average_ranks.__getitem__)
    frame = table.to_frame("pandas")
    assert list(frame.columns) == ["name", "one", "two", "average rank"]
    assert "best average rank" in str(table)
    assert "one: " in str(table)
    assert "<table>" in table._repr_html_()
    with pytest.raises(KeyError, match="there are one, two"):
        table["three"]
    with pytest.raises(ValueError, match="data must name at least one data set, got none"):
        diffrec.compare({})


def row_best(table: diffrec.Comparison) -> str:
    return "popularity" if table.best.name in ("popularity", "twin") else table.best.name


def test_what_could_not_be_fitted_on_a_set_comes_last_there() -> None:
    one = diffrec.compare(DATA, ["popularity", "itemknn"], progress=False)
    lacking = replace(one, rows=[row for row in one if row.name == "popularity"], refused={"itemknn": "too large"})
    table = diffrec.Comparisons({"here": lacking}, "ndcg@20")
    assert table.average_ranks == {"popularity": 1.0, "itemknn": 2.0}
    assert "—" in str(table)


def test_columns_are_no_data_sets() -> None:
    with pytest.raises(TypeError, match="data must map names to data sets, and these are columns"):
        diffrec.compare({"user": [1, 1, 2], "item": [1, 2, 3]})


def test_what_a_comparison_sees_to_itself_is_no_setting() -> None:
    with pytest.raises(ValueError, match="budget of 'ease' is no setting of a recommender in a comparison"):
        diffrec.compare(DATA, {"popularity": {}, "ease": {"budget": "1h"}}, progress=False)

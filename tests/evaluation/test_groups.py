"""Figures by group, against plain counts over users and items."""

import numpy as np
import pandas as pd
import pytest

import diffrec
from diffrec.evaluation import Groups
from diffrec.evaluation.groups import MOST_GROUPS, parts_of

DATA = diffrec.datasets.synthetic(users=80, items=40, seed=1)
TRAIN, VALID, TEST = DATA.split()
COUNTRY = {user: ["FR", "DE", "IT"][place % 3] for place, user in enumerate(TRAIN.users) if place != 5}


@pytest.fixture(scope="module")
def report() -> diffrec.Report:
    model = diffrec.fit(TRAIN, variant="itemknn")
    ages = np.arange(80.0)
    ages[7] = np.nan
    by = ["activity", "popularity", "genre", {"country": COUNTRY, "age": ages}]
    return model.evaluate(TEST, seen=VALID, k=(3, 10), by=by, bins=4)


def test_figures_of_users_are_means_of_each_group(report: diffrec.Report) -> None:
    assert list(report.groups) == ["activity", "popularity", "genre", "country", "age"]
    countries = report.groups["country"]
    assert isinstance(countries, Groups)
    assert {group.label for group in countries} == {"FR", "DE", "IT", "unknown"}
    assert sum(group.size for group in countries) == len(report.users)
    relevant = np.diff(TEST.matrix.indptr)[TRAIN.users.rows(report.users)]
    for group in countries:
        own = np.array([COUNTRY.get(user, "unknown") == group.label for user in report.users.tolist()])
        values = report.per_user["ndcg@10"][own]
        assert group.size == own.sum()
        assert group.relevant == relevant[own].sum()
        assert group.means["ndcg@10"] == pytest.approx(values.mean())
        spread = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        assert group.errors["ndcg@10"] == pytest.approx(spread, nan_ok=True)
    means = [group.means["recall@3"] for group in countries]
    assert countries.gap("recall@3") == pytest.approx(max(means) - min(means))


def test_figures_of_items_are_counts_of_hits_and_places(report: diffrec.Report) -> None:
    rows = TRAIN.users.rows(report.users)
    wanted = TEST.matrix.toarray()[rows] > 0
    listed = np.zeros_like(wanted)
    for place, items in enumerate(report.ranked):
        listed[place, items[items >= 0]] = True
    for group in report.groups["genre"]:
        own = TRAIN.item_info["genre"] == group.label
        assert group.size == own.sum()
        assert group.relevant == wanted[:, own].sum()
        assert group.means["recall@10"] == pytest.approx((wanted & listed)[:, own].sum() / wanted[:, own].sum())
        assert group.means["exposure@10"] == pytest.approx(listed[:, own].sum() / listed.sum())
    exposure = [group.means["exposure@10"] for group in report.groups["popularity"]]
    assert sum(exposure) == pytest.approx(1)
    # Neighbours recommend what many have.
    assert exposure == sorted(exposure)


def test_numbers_are_parted_where_they_are_known(report: diffrec.Report) -> None:
    ages = report.groups["age"]
    assert ages[-1].label == "unknown"
    assert [group.size for group in ages][-1] == 1
    assert len(ages) == 5
    activity = report.groups["activity"]
    lows = [int(group.label.partition("–")[0]) for group in activity]  # noqa: RUF001 - a range
    assert lows == sorted(lows)


def test_texts_of_several_and_rare_texts() -> None:
    texts = np.array([f"tag{place}|all" for place in range(MOST_GROUPS + 10)] + ["", " | "])
    parts = parts_of(texts, 5)
    assert parts[0][0] == "all"
    assert len(parts) == MOST_GROUPS + 2
    assert [label for label, _ in parts[-2:]] == ["others", "unknown"]
    assert [len(places) for _, places in parts[-2:]] == [11, 2]
    assert [label for label, _ in parts_of(np.array([np.nan, np.nan]), 3)] == ["unknown"]


def test_tables_name_group_size_and_figures(report: diffrec.Report) -> None:
    text = str(report)
    assert "largest gap: recall@10" in text
    for name in ("country", "FR", "exposure@10", "activity"):
        assert name in text
    html = report._repr_html_()
    assert html.count("<table>") == 6
    frame = report.groups["genre"].to_frame("polars")
    assert {"genre", "items", "in test", "recall@3", "recall@3 ±", "exposure@10"} <= set(frame.columns)
    assert len(frame) == len(report.groups["genre"])


def test_gaps_of_frames_are_unknown() -> None:
    model = diffrec.fit(TRAIN, variant="popularity")
    country = ["FR" if place % 2 else float("nan") for place in range(80)]
    numbers = [3 if place % 2 else pd.NA for place in range(80)]
    report = model.evaluate(TEST, by={"country": country, "number": numbers, "nothing": [None] * 80})
    assert {group.label for group in report.groups["country"]} == {"FR", "unknown"}
    assert {group.label for group in report.groups["number"]} == {"3", "unknown"}
    assert {group.label for group in report.groups["nothing"]} == {"unknown"}


def test_unknown_facts_are_refused_before_any_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    model = diffrec.fit(TRAIN, variant="popularity")
    monkeypatch.setattr("diffrec.recommenders.rankings.best_items", None)
    for by, said in (
        ("activty", "did you mean 'activity'"),
        ({"country": [1, 2]}, "must have a value for each of 80 users, got 2"),
        ({"country": {"nobody": 1}}, "names no user of the training data"),
    ):
        with pytest.raises(ValueError, match=said):
            model.evaluate(TEST, by=by)
    with pytest.raises(TypeError, match="by must be names of facts"):
        model.evaluate(TEST, by=[3])
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        model.evaluate(TEST, by="activity", bins=0)

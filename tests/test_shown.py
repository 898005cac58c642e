"""Results as people look at them: printed, and as tables in a notebook."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import diffrec
from diffrec import Interactions, Top
from diffrec._shown import as_html, as_text
from diffrec.data import Ids

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
TRAIN, VALID, TEST = DATA.split()
MODEL = diffrec.fit(TRAIN, variant="ease", l2=20.0)
NAMED = Interactions.from_arrays(
    ["Ann", "Bob", "Bob"], [1, 1, 2], items=[1, 2, 3], item_info={"title": ["<b>tea</b>", "milk & honey", ""]}
)
LISTS = diffrec.fit(NAMED, variant="popularity").recommend(k=3)


class Table(HTMLParser):
    """The cells of a table, and its caption; every tag that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.caption = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "br":
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self._open[-1] == "caption":
            self.caption += data


def test_lists_of_similar_items_belong_to_items() -> None:
    top = MODEL.similar_items(DATA.items.ids[:2], 3)
    assert repr(top) == "<Top: 3 items like each of 2>"
    assert list(top[:1].columns()) == ["like", "item", "rank", "score"]
    table = Table(top._repr_html_())
    assert (table.caption, table.rows[0][0]) == ("3 items like each of 2", "like")


def test_lists_with_titles_and_nothing_taken_for_html() -> None:
    table = Table(LISTS._repr_html_())
    assert table.rows == [
        ["user", "item", "title", "rank", "score"],
        ["Ann", "2", "milk & honey", "1", "1.0000"],
        ["Ann", "3", "3", "2", "0.0000"],
        ["Bob", "3", "3", "1", "0.0000"],
    ]
    assert table.caption == "the best 3 of 2 users"
    assert [line.split() for line in str(LISTS).splitlines()][1] == ["Ann", "2", "milk", "&", "honey", "1", "1.0000"]


def test_titles_that_say_no_more_than_ids_are_left_out() -> None:
    assert str(MODEL.recommend(k=3)).splitlines()[0].split() == ["user", "item", "rank", "score"]


def test_of_a_long_table_the_first_rows_are_shown() -> None:
    top = MODEL.recommend(k=7)
    lines = str(top).splitlines()
    assert len(lines) == 22
    assert lines[-1] == f"and {60 * 7 - 20} more recommendations"
    assert len(Table(top._repr_html_()).rows) == 21
    assert repr(top) == "<Top: the best 7 of 60 users>"


def test_models_data_reports_comparisons_and_explanations() -> None:
    data = Table(DATA._repr_html_())
    assert data.caption == str(DATA).splitlines()[0]
    assert [" ".join(row) for row in data.rows] == [" ".join(line.split()) for line in str(DATA).splitlines()[1:]]
    model = Table(MODEL._repr_html_())
    assert model.caption == "EASE(l2=20.0)"
    assert ["variant", "ease"] in model.rows
    assert ["variant", "ease"] in Table(diffrec.EASE()._repr_html_()).rows
    trained = diffrec.fit(TRAIN, valid=VALID, dims=(4,), epochs=2, validate_every=1)
    rows = dict(Table(trained._repr_html_()).rows)
    assert rows["epochs"].startswith("2, ")
    assert float(rows["validation recall@20"]) == pytest.approx(trained.training_.best_validation, abs=1e-4)
    report = MODEL.evaluate(TEST, seen=VALID, k=(5, 10))
    table = Table(report._repr_html_())
    assert table.rows[0] == ["metric", "@5", "@10"]
    assert ["ndcg", f"{report['ndcg@5']:.4f}", f"{report['ndcg@10']:.4f}"] in table.rows
    assert "what users discover: what they had before is neither" in table.caption
    assert "mean over 60 users" in table.caption
    compared = diffrec.compare(DATA, ["popularity", "ease"], progress=False)
    table = Table(compared._repr_html_())
    assert [row[0] for row in table.rows] == ["name", *(row.name for row in compared)]
    assert compared.verdict in table.caption
    why = MODEL.explain(DATA.users.ids[0], DATA.items.ids[0], k=2)
    assert [row[0] for row in Table(why._repr_html_()).rows][1:3] == why.items.tolist()


def test_splits_trainings_searches_and_uncertain_lists() -> None:
    split = DATA.split()
    rows = Table(split._repr_html_()).rows
    assert [row[0] for row in rows] == ["train", "valid", "test"]
    assert f"{len(TRAIN):,} pairs" in rows[0][1]
    assert repr(split).startswith(f"<Split: {len(TRAIN)} / {len(VALID)} / {len(TEST)} interactions")
    trained = diffrec.fit(TRAIN, valid=VALID, variant="diffrec", dims=(4,), epochs=3, validate_every=1, progress=False)
    table = Table(trained.training_._repr_html_())
    assert table.rows[0] == ["epoch", "loss", "seconds", "recall@20"]
    assert len(table.rows) == 4
    assert "3 epochs" in table.caption
    held = dict(Table(trained._repr_html_()).rows)
    assert held["peak_memory"].endswith((" MB", " GB"))
    assert f"peak_memory: {held['peak_memory']}" in table.caption
    assert repr(trained.training_).startswith("<TrainingReport: 3 epochs, the best of them")
    assert trained.training_.to_frame("pandas")["epoch"].tolist() == [1, 2, 3]
    sure = trained.uncertainty(k=2, forward_steps=1)
    assert Table(sure._repr_html_()).rows[0] == ["user", "item", "score", "score_std", "rank", "rank_std"]
    assert str(sure).splitlines()[-1] == "and 100 more items"
    assert repr(sure).startswith("<Uncertainty: 2 items of 60 users")


def test_reprs_are_a_line() -> None:
    report = MODEL.evaluate(TEST, k=5, by="activity")
    compared = diffrec.compare(DATA, ["popularity", "ease"], progress=False)
    both = diffrec.compare({"one": DATA}, ["popularity"], progress=False)
    for one in (DATA, MODEL, report, report.groups["activity"], compared, both, LISTS, DATA.split()):
        assert len(repr(one)) < 160
        assert "\n" not in repr(one)
    assert compared.best.name in repr(compared)


def test_bars_show_in_a_notebook_and_say_nothing_of_what_is_not_installed(tmp_path: Path) -> None:
    """A kernel's streams are no terminal, and without ipywidgets tqdm warns when it is imported."""
    kernel = tmp_path / "IPython"
    kernel.mkdir()
    (kernel / "__init__.py").write_text(
        "class Shell:\n    config = {'IPKernelApp': {}}\n\n\ndef get_ipython():\n    return Shell()\n"
    )
    code = (
        "import warnings; warnings.simplefilter('error'); import IPython, diffrec; "
        "diffrec.fit(diffrec.datasets.synthetic(users=60, items=40, seed=1), variant='ials', factors=2, iterations=2)"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stderr
    assert "Warning" not in done.stderr


def test_lists_are_counted_gone_through_and_indexed() -> None:
    assert len(LISTS) == 2
    users, lengths = zip(*((user, len(items)) for user, items, _ in LISTS), strict=True)
    assert (users, lengths) == (("Ann", "Bob"), (2, 1))
    first = LISTS[0]
    assert (first.user, first.items.tolist(), first.scores.tolist()) == ("Ann", [2, 3], [1.0, 0.0])
    assert LISTS[-1].user == "Bob"
    assert LISTS[np.int64(1)].items.tolist() == [3]
    for some in (LISTS[1:], LISTS[[1]], LISTS[np.array([False, True])]):
        assert isinstance(some, Top)
        assert (some.users.tolist(), some.items.shape) == (["Bob"], (1, 3))
    with pytest.raises(IndexError):
        LISTS[2]


def test_nothing_is_a_table_of_nothing() -> None:
    nobody = Top.of(np.array([], dtype="U1"), np.empty((0, 2), np.int32), np.empty((0, 2), np.float32), Ids([1, 2]))
    assert str(nobody) == "user  item  rank  score"
    assert list(nobody) == []
    assert as_text({"a": []}, 0, "rows") == "a"
    assert Table(as_html({"a": []}, "none")).rows == [["a"]]

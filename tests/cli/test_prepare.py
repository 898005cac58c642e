"""``diffrec prepare``, and ``diffrec fit`` from what it makes."""

import json
from pathlib import Path

import diffrec
from diffrec.data import ParquetInteractions
from support.commands import fail, succeed

FIT = ("--variant", "diffrec", "--set", "dims=8", "--set", "epochs=2", "--quiet")


def test_a_folder_is_made_and_learnt_from(folder: Path, data: diffrec.Interactions) -> None:
    said = json.loads(succeed("prepare", "ratings.csv", "--out", "blocks", "--core", 2, "--by", "leave-last", "--json"))
    files = ParquetInteractions("blocks")
    assert said["train"] == files.n_events
    assert said["events"] <= data.n_events
    assert "users   " in succeed("prepare", "ratings.csv", "--out", "others")
    assert "saved to" in succeed("fit", "blocks", "--out", "of-files.diffrec", *FIT)
    model = diffrec.load("of-files.diffrec")
    assert model.train_.shape == (0, files.shape[1])
    assert model.training_.best_validation is not None
    assert "diffrec" in succeed("info", "of-files.diffrec")
    judged = json.loads(succeed("evaluate", "of-files.diffrec", "blocks", "--json"))
    assert judged["metrics"]["recall@10"] == model.evaluate("blocks")["recall@10"]
    for given in (["--by", "activity"], ["--user", "0"], ["--part", "test"]):
        assert given[0] in fail(2, "evaluate", "of-files.diffrec", "blocks", *given)
    top = succeed("recommend", "of-files.diffrec", "-k", 3, "--histories", "ratings.csv").splitlines()
    assert len(top) == 1 + 3 * data.shape[0]
    # It has none of its users' histories, and says so wherever they would be needed.
    for needs in (
        ["evaluate", "of-files.diffrec", "ratings.csv"],
        ["recommend", "of-files.diffrec", "--users", data.users[0]],
        ["recommend", "of-files.diffrec", "--out", "top.parquet"],
        ["recommend", "of-files.diffrec", "--candidates", "ratings.csv"],
        ["explore", "of-files.diffrec", "--test", "ratings.csv"],
    ):
        assert "this model keeps no histories of the users it learnt from" in fail(1, *needs)
    assert not Path("top.parquet").exists()


def test_what_cannot_be_done_is_said(folder: Path) -> None:
    assert "by must be one of" in fail(2, "prepare", "ratings.csv", "--out", "blocks", "--by", "users")
    assert "none.csv does not exist" in fail(1, "prepare", "none.csv", "--out", "blocks")
    succeed("prepare", "ratings.csv", "--out", "blocks")
    assert "blocks is there already" in fail(1, "prepare", "ratings.csv", "--out", "blocks")
    assert "--dayfirst: says nothing of a folder that was prepared" in fail(
        2, "fit", "blocks", "--out", "x.diffrec", "--dayfirst"
    )
    assert "ease needs all interactions in memory" in fail(
        1, "fit", "blocks", "--out", "x.diffrec", "--variant", "ease"
    )
    assert "--variant 'auto' needs all interactions" in fail(1, "fit", "blocks", "--out", "x.diffrec")

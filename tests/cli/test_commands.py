"""The other commands: what they print, what they leave, and how they refuse."""

import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

import diffrec
from diffrec.cli import doctor
from support.commands import fail, leftovers, run, succeed


def test_fit_says_what_it_learnt(folder: Path) -> None:
    result = run("fit", "ratings.csv", "--out", "new/m.diffrec", "--set", "dims=8", "--set", "epochs=5")
    assert result.exit_code == 0, result.output
    assert "DiffRec(epochs=5, dims=(8,))" in result.stdout
    assert "60 users x 40 items" in result.stdout
    assert "recall@20" in result.stdout
    assert "epoch 5: loss" in result.stderr
    assert diffrec.load("new/m.diffrec").get_params()["dims"] == (8,)
    assert leftovers(folder / "new") == []


def test_fit_as_json(folder: Path) -> None:
    result = run("fit", "ratings.csv", "--out", "m.diffrec", "--variant", "ease", "--json", "--quiet")
    told = json.loads(result.stdout)
    assert told["class"] == "EASE"
    assert (told["users"], told["items"], told["file"]) == (60, 40, "m.diffrec")
    assert told["bytes"] == Path("m.diffrec").stat().st_size
    assert result.stderr == ""


def test_fit_stops_on_the_file_it_is_given(folder: Path, data: diffrec.Interactions) -> None:
    train, valid, _ = data.split()
    train.write("train.parquet")
    diffrec.Interactions.from_arrays(["never seen"], ["a book"]).write("other.csv")
    valid.write("valid.parquet")
    quick = ("--set", "dims=8", "--set", "epochs=5", "--set", "batch_size=30")
    succeed("fit", "train.parquet", "--valid", "valid.parquet", "--out", "m.diffrec", *quick)
    read = [diffrec.Interactions.read(f"{part}.parquet") for part in ("train", "valid")]
    expected = diffrec.fit(read[0], valid=read[1], dims=8, epochs=5, batch_size=30, progress=False)
    assert diffrec.load("m.diffrec").training_.best_validation == expected.training_.best_validation
    said = fail(1, "fit", "train.parquet", "--valid", "other.csv", "--out", "m2.diffrec", *quick)
    assert "other.csv has no interaction whose user and item are both known; its users are such as 'never seen'" in said
    assert not Path("m2.diffrec").exists()


def test_columns_are_named_guessed_or_counted(folder: Path) -> None:
    (folder / "named.csv").write_text("who,what,stars\na,x,5\nb,y,3\n")
    succeed(
        "fit", "named.csv", "--out", "m", "--user", "who", "--item", "what", "--value", "stars", "--variant", "ease"
    )
    assert diffrec.load("m").train_.matrix.data.tolist() == [5, 3]
    (folder / "bare.tsv").write_text("a\tx\t5\nb\ty\t6\n")
    succeed("fit", "bare.tsv", "--out", "m", "--user", 0, "--item", 1, "--timestamp", 2, "--variant", "ease")
    assert diffrec.load("m").train_.timestamps.tolist() == [5, 6]  # type: ignore[union-attr]
    (folder / "guessed.inter").write_text("user_id:token\titem_id:token\n1\t2\n3\t4\n")
    succeed("fit", "guessed.inter", "--out", "m", "--variant", "ease")
    assert list(diffrec.load("m").train_.users) == [1, 3]


def write_split(file: str) -> None:
    pairs = {"train": [[0, 0], [1, 1], [0, 2], [2, 1]], "valid": [[0, 1], [1, 2]], "test": [[1, 0], [2, 0]]}
    np.savez(file, shape=np.array([3, 3]), **{name: np.array(part) for name, part in pairs.items()})


def test_a_split_is_used_part_by_part(folder: Path) -> None:
    write_split("split.npz")
    result = run("fit", "split.npz", "--out", "m", "--variant", "popularity")
    assert "learning from the train part of this split, stopping on its valid part" in result.stderr
    assert len(diffrec.load("m").train_) == 4
    told = json.loads(succeed("evaluate", "m", "split.npz", "--k", 1, "--json"))
    split = diffrec.Split.read("split.npz")
    expected = diffrec.load("m").evaluate(split.test, seen=split.valid, k=[1])
    # A list of one has no pairs: NaN, which is no JSON.
    assert told["question"] == "discover"
    assert told["metrics"] == {name: None if np.isnan(mean) else mean for name, mean in expected.means.items()}
    succeed("fit", "split.npz", "--part", "all", "--out", "m", "--variant", "popularity")
    assert len(diffrec.load("m").train_) == 8
    succeed("fit", "split.npz", "--part", "test", "--out", "m", "--variant", "popularity")
    assert len(diffrec.load("m").train_) == 2
    assert "wins with ndcg@1" in succeed(
        "compare", "split.npz", "--variants", "popularity", "--metric", "ndcg@1", "--k", 1
    )
    assert "part must be one of" in fail(2, "fit", "split.npz", "--part", "half", "--out", "m")
    assert "--part 'test' needs a .npz file" in fail(1, "fit", "ratings.csv", "--part", "test", "--out", "m")
    assert "is a split already" in fail(1, "split", "split.npz", "--out", "parts")
    # A file that stands beside another is read for what it is for, and no other command takes all three parts for one.
    succeed("fit", "split.npz", "--part", "train", "--valid", "split.npz", "--out", "m", "--variant", "popularity")
    assert "1 users" not in succeed("evaluate", "m", "split.npz", "--part", "test", "--seen", "split.npz", "--k", 1)
    assert "split.npz is a split: name the part" in fail(1, "update", "m", "split.npz", "--out", "n")
    assert "split.npz is a split: name the part" in fail(1, "recommend", "m", "--histories", "split.npz")
    succeed("update", "m", "split.npz", "--part", "valid", "--out", "n")
    assert len(diffrec.load("n").train_) == 6
    assert "is a split already" in fail(1, "compare", "split.npz", "--by", "random", "--variants", "popularity")


def test_whole_users_are_split_with_what_is_visible_of_them(folder: Path) -> None:
    succeed("split", "ratings.csv", "--out", "parts", "--by", "users")
    train, visible, test = (diffrec.Interactions.read(f"parts/{name}.csv") for name in ("train", "visible", "test"))
    assert set(test.users.ids) <= set(visible.users.ids)
    assert not set(test.users.ids) & set(train.users.ids)


def test_parts_have_the_format_of_the_file(folder: Path, data: diffrec.Interactions) -> None:
    Path("packed.csv.gz").write_bytes(gzip.compress(Path("ratings.csv").read_bytes()))
    succeed("split", "packed.csv.gz", "--out", "parts")
    assert len(diffrec.Interactions.read("parts/train.csv")) == len(data.split()[0])
    data.write("lists/one.parquet")
    succeed("split", "lists", "--out", "parts")
    assert len(diffrec.Interactions.read("parts/test.parquet")) == len(data.split()[2])


def test_split_then_fit_then_evaluate(folder: Path, data: diffrec.Interactions) -> None:
    said = succeed("split", "ratings.csv", "--out", "parts", "--format", "tsv")
    expected = data.split(by="time")
    for name, part in zip(("train", "valid", "test"), expected, strict=True):
        read = diffrec.Interactions.read(f"parts/{name}.tsv")
        assert len(read) == len(part)
        assert f"{len(part)} interactions in parts/{name}.tsv" in said
    succeed("fit", "parts/train.tsv", "--out", "m", "--variant", "ease")
    result = run("evaluate", "m", "parts/test.tsv", "--seen", "parts/valid.tsv", "--k", "5,10", "--per-user", "u.csv")
    report = diffrec.fit(expected.train, variant="ease").evaluate(expected.test, seen=expected.valid, k=(5, 10))
    assert result.stdout.splitlines()[0].split() == ["metric", "@5", "@10"]
    assert f"{report['ndcg@10']:.4f}" in result.stdout
    lines = Path("u.csv").read_text().splitlines()
    assert lines[0].startswith("user,precision@5,precision@10,recall@5")
    assert len(lines) == 1 + len(report.users)


def test_evaluate_by_facts(folder: Path, data: diffrec.Interactions) -> None:
    train, _, test = data.split(by="time")
    diffrec.fit(train, variant="popularity").save("m")
    test.write("test.csv")
    Path("people.csv").write_text("user,country\n" + "".join(f"{user},FR\n" for user in data.users.ids[:20].tolist()))
    arguments = ("evaluate", "m", "test.csv", "--by", "activity", "--by", "country", "--user-facts", "people.csv")
    told = json.loads(succeed(*arguments, "--json"))
    assert {one["label"] for one in told["groups"]["country"]} == {"FR", "unknown"}
    assert sum(one["size"] for one in told["groups"]["activity"]) == told["users"]
    assert "largest gap: recall@20" in succeed(*arguments)
    assert "did you mean 'activity'" in fail(1, "evaluate", "m", "test.csv", "--by", "activty")
    before = Path("people.csv").read_text()
    fail(1, "evaluate", "m", "test.csv", "--user-facts", "people.csv", "--per-user", "people.csv")
    assert Path("people.csv").read_text() == before
    # Named as in the interactions, or as ids of users usually are.
    Path("people.csv").write_text(before.replace("user,country", "user_id,item_pref"))
    told = run("evaluate", "m", "test.csv", "--by", "item_pref", "--user-facts", "people.csv", "--json")
    assert set(json.loads(told.stdout)["groups"]) == {"item_pref"}
    assert "people.csv: 'item_pref' of 20 of" in told.stderr


def test_compare_on_several_files(folder: Path, data: diffrec.Interactions) -> None:
    data.take(np.arange(40)).write("some.csv")
    choice = ("--variants", "popularity,itemknn", "--seeds", 1, "--quiet")
    told = json.loads(succeed("compare", "ratings.csv", "some.csv", *choice, "--json", "--out", "table.csv"))
    assert set(told["sets"]) == {"ratings", "some"}
    assert sum(row["average rank"] for row in told["rows"]) == 3
    assert Path("table.csv").read_text().startswith("name,ratings,some,average rank")
    assert "names one file twice" in fail(2, "compare", "some.csv", "some.csv", *choice)


def test_evaluate_counts_what_the_model_does_not_know(folder: Path, data: diffrec.Interactions) -> None:
    rows = [
        (data.users[0], np.setdiff1d(data.items.ids, data.items[data.matrix[[0]].indices])[0]),
        ("stranger", data.items[0]),
        (data.users[0], "new"),
    ]
    diffrec.Interactions.from_arrays(*map(list, zip(*rows, strict=True))).write("test.csv")
    told = json.loads(succeed("evaluate", "model.diffrec", "test.csv", "--json"))
    assert (told["users"], told["users_without_relevant"], told["interactions_left_out"]) == (1, 59, 2)
    assert told["dislikes_left_out"] == 0
    assert "2 interactions of unknown users or items left out" in succeed("evaluate", "model.diffrec", "test.csv")


def test_compare_says_who_wins(folder: Path) -> None:
    chosen = (
        "compare",
        "ratings.csv",
        "--variants",
        "popularity, t-diffrec",
        "--seeds",
        1,
        "--k",
        5,
        "--metric",
        "ndcg@5",
    )
    settings = ("--set", "t-diffrec.dims=8", "--set", "t-diffrec.epochs=1")
    told = json.loads(succeed(*chosen, *settings, "--out", "table.csv", "--json", "--by", "random"))
    assert {row["name"] for row in told["rows"]} == {"popularity", "t-diffrec"}
    assert told["rows"][0]["ndcg@5"] >= told["rows"][1]["ndcg@5"]
    assert told["verdict"].startswith(told["rows"][0]["name"])
    assert next(row["parameters"] for row in told["rows"] if row["name"] == "t-diffrec") > 0
    assert Path("table.csv").read_text().startswith("name,variant,recall@5,")
    assert "wins with ndcg@5" in succeed(*chosen, *settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--variants", "popularity,esae"], "--variant: 'esae' is none of .*did you mean 'ease'"),
        (["--variants", ","], "--variants: names no recommender"),
        (["--set", "dims=8"], "--set: 'dims' must begin with one of the variants, such as popularity.dims"),
        (["--set", "ials.factors=8"], "must begin with one of the variants"),
        (["--set", "ease.l3=8"], "--set: 'l3' is not a setting"),
        (["--metric", "ndgc@20"], "--metric.*: metric must be one of"),
        (["--metric", "coverage@20"], "--metric.*'coverage'"),
        (["--k", "0"], "--k: '0' must be whole numbers above 0"),
        (["--seeds", "0"], "--seeds"),
        (["--by", "tiem"], "--by.*: by must be one of .*did you mean 'time'"),
        (["--by", "users"], "--by.*: by='users' leaves those who are judged without a history"),
        (["--set", "ease.init=m.diffrec"], "--set: init is no setting; Python gives it"),
    ],
)
def test_compare_refuses_before_the_data_is_read(tmp_path: Path, given: list[str], message: str) -> None:
    said = fail(2, "compare", tmp_path / "gone.csv", *given)
    assert re.search(message, said), said


def test_a_fit_tells_what_was_chosen_and_why(tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("user,item\n1,a\n1,b\n2,a\n")
    said = succeed("fit", file, "--out", tmp_path / "m.diffrec")
    assert re.search(r"(?m)^chosen +stack of rp3beta and popularity: 0 held-out interactions are too few", said)


def test_info_tells_settings_and_training(folder: Path, data: diffrec.Interactions) -> None:
    diffrec.fit(data, dims=(8,), epochs=5, time_weights="linear", progress=False).save("m.diffrec")
    said = succeed("info", "m.diffrec")
    assert "DiffRec(epochs=5, dims=(8,), time_weights='linear')" in said
    assert re.search(r"(?m)^  lr +0\.001$", said)
    assert re.search(r"(?m)^training +5 epochs, best at 5$", said)
    assert re.search(r"(?m)^variant +t-diffrec$", said)
    assert re.search(r"(?m)^  peak_memory +[\d.]+ [MG]B$", said)
    told = json.loads(succeed("info", "m.diffrec", "--json"))
    assert told["variant"] == "t-diffrec"
    assert told["settings"]["dims"] == [8]
    assert told["changed"] == ["epochs", "dims", "time_weights"]
    assert told["validation"]["metric"] == "recall@20"
    assert told["facts"]["parameters"] == diffrec.load("m.diffrec").training_.facts["parameters"]


def test_info_shows_what_a_terminal_would_obey(folder: Path, data: diffrec.Interactions) -> None:
    model = diffrec.fit(data, variant="ease", progress=False)
    model.training_.facts["\x1b[2J"] = "rings\a\ud800"
    model.training_.metric = "recall@20"  # of no epoch
    model.save("m.diffrec")
    said = succeed("info", "m.diffrec")
    assert r"\x1b[2J" in said
    assert r"rings\x07\ud800" in said
    assert "validation" not in said


def test_demo_runs_on_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch, data: diffrec.Interactions) -> None:
    fit = diffrec.fit
    monkeypatch.setattr(diffrec, "fit", lambda *a, **k: fit(*a, **k | ({} if k["variant"] == "popularity" else QUICK)))
    said = succeed("demo", "ratings.csv")
    assert "saved (" in said
    assert "t-diffrec" in said
    # Histories of three leave nothing to stop on.
    short = data.take(np.arange(30)).events
    few = (np.arange(len(short)) - short.indptr[short.owners]) < 3
    data.take(np.arange(30)).where_events(few).write("short.csv")
    assert "saved (" in succeed("demo", "short.csv")


QUICK = {"dims": (8,), "epochs": 1}


def test_doctor_passes_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said = succeed("doctor")
    assert re.search(r"(?m)^self-check +passed in", said)
    assert re.search(rf"(?m)^diffrec +{re.escape(diffrec.__version__)}$", said)
    assert re.search(r"(?m)^extra cli +typer \d", said)
    told = json.loads(succeed("doctor", "--json"))
    assert told["simd"]["level"] in told["simd"]["available"]
    assert told["threads"]["kernels"] >= 1
    assert told["memory_available"] > 0
    assert told["bfloat16"]["speed_over_float32"] > 0
    assert told["extras"]["parquet"]["pyarrow"] is not None
    assert told["self_check"]["problem"] is None


def test_doctor_says_how_to_get_a_torch_without_what_is_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.version.cuda", "13.0")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert doctor.torch_build() == {"built_for": "CUDA 13.0", "smaller": doctor.CPU_BUILD}
    assert re.search(r"(?m)^torch built for +CUDA 13.0, and there is no such GPU", succeed("doctor"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert doctor.torch_build() == {"built_for": "CUDA 13.0", "smaller": None}
    monkeypatch.setattr("torch.version.cuda", None)
    assert doctor.torch_build() == {"built_for": "CPU", "smaller": None}


def test_doctor_fails_where_the_check_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(*_: object, **__: object) -> None:
        raise RuntimeError("no such\ninstruction")

    monkeypatch.setattr(diffrec, "fit", unable)
    result = run("doctor")
    assert result.exit_code == 1
    assert re.search(r"(?m)^self-check +FAILED: RuntimeError: no such instruction$", result.stdout)


def test_doctor_notices_wrong_rankings(monkeypatch: pytest.MonkeyPatch) -> None:
    score = diffrec.Recommender.score
    monkeypatch.setattr(diffrec.Recommender, "score", lambda self, users=None: -score(self, users))
    assert doctor.self_check()["problem"] == "the best items are not those with the highest scores"


def test_doctor_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "importlib.metadata.requires",
        lambda name: ["torch>=2.4", 'nonesuch>=1 ; extra == "wild"', "typer>=0.26; extra == 'cli'"],
    )
    assert set(doctor.extras()) == {"wild", "cli"}
    assert re.search(r'extra wild +nonesuch missing \(pip install "diffrec\[wild\]"\)', succeed("doctor"))


def test_the_version_is_printed() -> None:
    assert succeed("--version") == f"diffrec {diffrec.__version__}\n"


def test_errors_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fail(1, "info", "gone.diffrec") == "error: there is no model file 'gone.diffrec'\n"
    assert "'ratings.csv' is not a diffrec model" in fail(1, "info", "ratings.csv")
    (folder / "bare.csv").write_text("1,2\n3,4\n")
    said = fail(1, "fit", "bare.csv", "--out", "m")
    assert said.count("\n") == 1
    assert (
        "(--user '...', --item '...') or, if the file has no header, give their positions (--user 0, --item 1)" in said
    )
    monkeypatch.setenv("DIFFREC_TRACEBACK", "1")
    assert isinstance(run("fit", "bare.csv", "--out", "m").exception, ValueError)


def test_mistakes_of_the_program_are_not_called_bad_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("a mistake")

    monkeypatch.setattr(diffrec, "fit", broken)
    assert isinstance(run("fit", "ratings.csv", "--out", "m").exception, AssertionError)


def test_a_place_that_cannot_be_written_is_refused_before_the_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffrec, "fit", None)  # it would not get that far
    assert "is a folder; name a file" in fail(1, "fit", "ratings.csv", "--out", folder)
    assert "is a file, so ratings.csv/m cannot be written" in fail(1, "fit", "ratings.csv", "--out", "ratings.csv/m")
    monkeypatch.setattr("os.access", lambda _, mode: mode == os.R_OK)
    assert "may not be written to; name another place" in fail(1, "fit", "ratings.csv", "--out", "m")


@pytest.mark.parametrize(
    "command",
    [
        "fit ratings.csv --out ratings.csv --variant popularity",
        "fit ratings.csv --valid valid.csv --out ./valid.csv --variant popularity",
        "recommend model.diffrec --histories valid.csv --out valid.csv",
        "evaluate model.diffrec valid.csv --per-user valid.csv",
        "compare ratings.csv --out ratings.csv --variants popularity",
        "split train.csv --out .",
    ],
)
def test_what_is_read_is_not_written_over(folder: Path, data: diffrec.Interactions, command: str) -> None:
    for name in ("train.csv", "valid.csv"):
        data.take([1, 2]).write(name)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert "is what is to be read, and would be lost" in fail(1, *command.split())
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_inter_files_have_ids_as_tokens_and_numbers_as_floats(folder: Path, data: diffrec.Interactions) -> None:
    data.write("d.inter")
    assert Path("d.inter").read_text().splitlines()[0].split("\t")[:3] == [
        "user:token",
        "item:token",
        "timestamp:float",
    ]
    succeed("recommend", "model.diffrec", "--k", 2, "--out", "top.inter")
    assert Path("top.inter").read_text().splitlines()[0] == "user:token\titem:token\trank:float\tscore:float"


def test_a_fit_can_be_for_what_is_taken_next(folder: Path) -> None:
    diffrec.Interactions.from_arrays([0, 0, 0, 1, 1], [1, 2, 1, 1, 2], [1, 2, 3, 1, 2]).write("again.csv")
    succeed("fit", "again.csv", "--out", "m.diffrec", "--variant", "topfreq", "--repeats", "include")
    assert diffrec.load("m.diffrec").settings.repeats == "include"
    assert "repeats must be one of" in fail(2, "fit", "again.csv", "--out", "m.diffrec", "--repeats", "some")


def test_what_becomes_of_values_below_zero_is_said(folder: Path) -> None:
    (folder / "returns.csv").write_text("user,item,n\n0,1,2\n0,1,-1\n1,2,3\n")
    fit = ("fit", "returns.csv", "--value", "n", "--out", "m.diffrec", "--variant", "popularity")
    assert "--negatives 'net'" in fail(1, *fit)
    result = run(*fit, "--negatives", "net")
    assert "1 entry below 0 netted off" in result.stderr
    assert diffrec.load("m.diffrec").train_.matrix.sum() == 4


ORDERS = """\
customer,sku,ordered_at,note
ann,tea,01/02/2026,x
ann,cup,03/02/2026,x
,tea,04/02/2026,x
bob,tea,05/02/2026,x
bob,pot,06/02/2026,x
"""


def test_bad_rows_are_errors_or_dropped(folder: Path) -> None:
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "items.csv").write_text("sku,title,price\ntea,Green tea,2.5\npot,Pot,20\n")
    fit = ["fit", "orders.csv", "--out", "orders.diffrec", "--variant", "itemknn"]
    said = fail(1, *fit, "--dayfirst")
    assert "orders.csv: 1 row of 5 cannot be used (--on-bad-row 'drop' leaves them out): customer is empty" in said
    assert "say which with --dayfirst" in fail(1, *fit, "--on-bad-row", "drop")
    assert "must be one of 'error', 'drop'" in fail(2, *fit, "--on-bad-row", "skip")
    result = run(*fit, "--on-bad-row", "drop", "--dayfirst", "--items", "items.csv")
    assert result.exit_code == 0
    for line in (
        "orders.csv: 5 rows read, 1 dropped, 4 events",
        "columns: user is 'customer', item is 'sku', timestamp is 'ordered_at'; not used: 'note'",
        "dropped: customer is empty in 1 row: line 4",
        "items.csv: 'title', 'price' of 2 of 3 items",
    ):
        assert line in result.stderr
    said = succeed("recommend", "orders.diffrec", "--users", "ann", "--k", "1", "--titles").splitlines()
    assert said[0] == "user,item,title,rank,score"
    assert said[1].startswith("ann,pot,Pot,1,")


def test_times_that_are_not_used_are_said(folder: Path) -> None:
    (folder / "orders.csv").write_text(
        "customer,sku,shipped\nann,tea,2026-01-31\nbob,tea,2026-01-31\nbob,cup,2026-01-31\n"
    )
    result = run("fit", "orders.csv", "--out", "orders.diffrec", "--variant", "itemknn", "--quiet")
    assert "warning: orders.csv: no times are used, though 'shipped' looks like some" in result.stderr


def test_a_fit_goes_on_from_its_checkpoint(folder: Path) -> None:
    command = ("fit", "ratings.csv", "--out", "m", "--variant", "diffrec", "--set", "epochs=2", "--checkpoint", "c")
    first = succeed(*command, "--every", "5min")
    assert Path("c").exists()
    model = Path("m").read_bytes()
    assert succeed(*command).splitlines()[0] == first.splitlines()[0]
    assert Path("m").read_bytes() == model
    said = fail(1, *command, "--set", "lr=0.5")
    assert "c' is the checkpoint of lr=0.001, and this is lr=0.5: use another path, or delete it" in said
    assert "every must be 'epoch' or a time" in fail(2, *command, "--every", "often")
    assert "would be lost" in fail(1, *command[:-1], "ratings.csv")
    assert "--checkpoint FILE gives it" in fail(2, *command, "--set", "checkpoint=x")


def test_a_comparison_goes_on_from_its_checkpoint(folder: Path) -> None:
    command = ("compare", "ratings.csv", "--variants", "popularity,itemknn", "--json", "--checkpoint", "c")
    assert succeed(*command) == succeed(*command)
    assert "'c' is the checkpoint of --metric 'ndcg@20'" in fail(1, *command, "--metric", "ndcg@10")

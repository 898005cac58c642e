"""``diffrec recommend``: the lists of the library, in every format, for known users and for strangers."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import diffrec
from diffrec.cli import recommending
from diffrec.cli.recommending import blocks
from support.commands import fail, leftovers, run, succeed
from support.tables import columns_of


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".inter", ".parquet", ".npz"])
def test_every_format_holds_the_lists_of_all_users(folder: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommending, "USER_BLOCK", 16)  # so that there are several blocks
    monkeypatch.setattr(recommending, "_ROWS_AT_ONCE", 16 * 7)
    said = succeed("recommend", "model.diffrec", "--k", 7, "--out", f"new/top{suffix}")
    expected = diffrec.load("model.diffrec").recommend(k=7).columns()
    written = columns_of(folder / "new" / f"top{suffix}", item=str)
    assert list(written) == ["user", "item", "rank", "score"]
    for name in ("user", "item", "rank"):
        assert written[name] == expected[name].tolist()
    assert_array_equal(np.float32(written["score"]), expected["score"])
    assert f"{len(expected['user'])} recommendations for 60 users" in said
    assert leftovers(folder / "new") == []


def test_standard_output_gets_csv_and_nothing_else(folder: Path) -> None:
    result = run("recommend", "model.diffrec", "--k", 2)
    (folder / "top.csv").write_text(result.stdout)
    expected = diffrec.load("model.diffrec").recommend(k=2).columns()
    assert columns_of(folder / "top.csv", item=str)["item"] == expected["item"].tolist()
    assert result.stderr == ""


def test_json_is_an_object_per_row_or_what_was_written(folder: Path) -> None:
    user = diffrec.load("model.diffrec").train_.users[3]
    rows = [
        json.loads(line)
        for line in succeed("recommend", "model.diffrec", "--k", 2, "--users", user, "--json").splitlines()
    ]
    top = diffrec.load("model.diffrec").recommend([user], k=2)
    assert [row["item"] for row in rows] == top.items[0].tolist()
    assert [row["rank"] for row in rows] == [1, 2]
    assert_array_equal(np.float32([row["score"] for row in rows]), top.scores[0])
    written = json.loads(succeed("recommend", "model.diffrec", "--k", 2, "--out", "top.csv", "--json"))
    assert written == {"file": "top.csv", "users": 60, "rows": 120, "k": 2}


@pytest.mark.parametrize("ids", [["007", "7", "a,b", "ä"], [30, 10, 20, 7]])
def test_ids_come_back_as_they_went_in(folder: Path, ids: list[object]) -> None:
    diffrec.Interactions.from_arrays(ids, ids[::-1]).write("ids.csv")
    succeed("fit", "ids.csv", "--out", "m.diffrec", "--variant", "popularity")
    succeed("recommend", "m.diffrec", "--k", 4, "--out", "top.parquet")
    written = columns_of(folder / "top.parquet")
    assert set(written["user"]) == set(written["item"]) == set(ids)
    (folder / "some.txt").write_text(f"{ids[2]}\n{ids[0]}\n")
    succeed("recommend", "m.diffrec", "--k", 1, "--users", "@some.txt", "--out", "top.parquet")
    assert columns_of(folder / "top.parquet")["user"] == [ids[2], ids[0]]


def test_users_items_and_seen_ones_are_chosen(folder: Path) -> None:
    model = diffrec.load("model.diffrec")
    users, items = model.train_.users[[4, 1]], model.train_.items[[0, 3, 5]]
    chosen = ("recommend", "model.diffrec", "--k", 40, "--out", "top.npz")
    succeed(*chosen, "--users", ",".join(users), "--allow", ",".join(items), "--deny", items[1], "--include-seen")
    written = columns_of(folder / "top.npz")
    assert set(written["item"]) == {items[0], items[2]}
    assert written["user"] == [users[0]] * 2 + [users[1]] * 2
    succeed(*chosen, "--users", "@-", stdin="\n".join(users) + "\n")
    written = columns_of(folder / "top.npz")
    taken = {model.train_.items[item] for item in model.train_.matrix[[4]].indices}
    assert not taken & {item for user, item in zip(written["user"], written["item"], strict=True) if user == users[0]}


def test_strangers_are_recommended_to_by_their_histories(folder: Path) -> None:
    model = diffrec.load("model.diffrec")
    items = model.train_.items
    strangers = diffrec.Interactions.from_arrays(
        ["Zoe", "Zoe", "Abe", "Abe"], [items[0], items[1], items[2], "never heard of"]
    )
    strangers.write("strangers.tsv")
    result = run("recommend", "model.diffrec", "--k", 3, "--histories", "strangers.tsv", "--out", "top.npz")
    assert result.exit_code == 0, result.output
    assert "strangers.tsv: 1 interactions of unknown users or items left out" in result.stderr
    expected = model.recommend(strangers.align(items=items)[0], k=3).columns()
    written = columns_of(folder / "top.npz")
    assert written["user"] == expected["user"].tolist()
    assert written["item"] == expected["item"].tolist()


def test_ids_of_two_kinds_are_compared_as_they_are_written(folder: Path) -> None:
    (folder / "train.csv").write_text("user,item\n1,7\n1,x\n2,8\nbea,7\n")
    (folder / "numbers.csv").write_text("user,item\n9,7\n9,8\n")
    succeed("fit", "train.csv", "--out", "m.diffrec", "--variant", "popularity")
    succeed("recommend", "m.diffrec", "--histories", "numbers.csv", "--out", "top.npz")
    assert columns_of(folder / "top.npz") == {"user": [9], "item": ["x"], "rank": [1], "score": [1.0]}


def test_blocks_are_one_call_in_pieces(data: diffrec.Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommending, "USER_BLOCK", 16)
    monkeypatch.setattr(recommending, "_ROWS_AT_ONCE", 16 * 5)
    model = diffrec.fit(data, variant="ease")
    for people in (data.users.ids, data, data.users.ids[[7, 3, 3, 50, 1] * 4]):
        pieces = list(blocks(model, people, 5))
        assert [len(piece) for piece in pieces][:-1] == [16] * (len(pieces) - 1)
        whole = model.recommend(people, 5)
        assert_array_equal(np.concatenate([piece.items for piece in pieces]), whole.items)
        assert_array_equal(np.concatenate([piece.users for piece in pieces]), whole.users)


def test_noise_is_that_of_one_call(data: diffrec.Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommending, "_ROWS_AT_ONCE", 1)
    many = diffrec.Interactions.from_csr(np.tile(data.matrix.toarray(), (10, 1)))  # more than one block
    model = diffrec.fit(many, dims=(8,), epochs=1, sampling_noise=True, forward_steps=3, progress=False)
    pieces = list(blocks(model, many.users.ids, 5))
    assert len(pieces) == 2
    assert_array_equal(np.concatenate([piece.items for piece in pieces]), model.recommend(k=5).items)


def test_lists_are_guided(folder: Path, data: diffrec.Interactions) -> None:
    diffrec.fit(data, dims=(8,), epochs=2, holdout=0, progress=False).save("guided.diffrec")
    item, genre = str(data.items[7]), str(data.item_info["genre"][0])
    told = ("--steer", f"{item}=2", "--steer", f"{genre}=-0.5", "--novelty", 0.2, "--diversity", 1.5)
    succeed("recommend", "guided.diffrec", "--k", 5, "--out", "top.npz", *told)
    model = diffrec.load("guided.diffrec")
    expected = model.recommend(k=5, steer={item: 2, genre: -0.5}, novelty=0.2, diversity=1.5).columns()
    assert columns_of(folder / "top.npz")["item"] == expected["item"].tolist()
    assert expected["item"].tolist() != model.recommend(k=5).columns()["item"].tolist()
    assert "ItemKNN cannot be guided" in fail(1, "recommend", "model.diffrec", "--novelty", 1)


def test_items_that_nobody_has_touched_are_ranked(
    folder: Path, data: diffrec.Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommending, "USER_BLOCK", 16)  # so that there are several blocks
    monkeypatch.setattr(recommending, "_ROWS_AT_ONCE", 16 * 5)
    new = {"item": ["first", "7"], "title": ["The Amber Heart 99", "A Night of Terror"], "genre": ["Romance", "Horror"]}
    lines = [list(new), *zip(*new.values(), strict=True)]
    (folder / "new.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    told = ("recommend", "model.diffrec", "--cold-items", "new.csv", "--out", "top.npz")
    succeed(*told, "--k", 5, "--titles")
    model = diffrec.load("model.diffrec")
    expected = model.recommend(k=5, cold_items=new).columns(titles=True)
    written = columns_of(folder / "top.npz")
    for name in ("user", "item", "title"):
        assert written[name] == expected[name].tolist()
    assert {"first", "7"} & set(written["item"])
    # They may be named where the model's own may.
    own = str(data.items[3])
    succeed(*told, "--k", 3, "--allow", f"first,{own}", "--deny", own)
    assert set(columns_of(folder / "top.npz")["item"]) == {"first"}
    user = str(data.users[2])
    (folder / "pairs.csv").write_text(f"user,item\n{user},7\n{user},{own}\n")
    succeed(*told, "--k", 3, "--candidates", "pairs.csv", "--include-seen")
    assert set(columns_of(folder / "top.npz")["item"]) == {"7", own}


def test_items_of_no_row_are_read_as_numbers_or_as_text_as_the_models_are(folder: Path) -> None:
    (folder / "train.csv").write_text("user,item\na,7\na,x\nb,8\nb,x\nc,7\n")
    (folder / "facts.csv").write_text("item,kind\n7,tea\n8,milk\nx,tea\n")
    (folder / "new.csv").write_text("item,kind\n9,tea\n")
    succeed("fit", "train.csv", "--items", "facts.csv", "--out", "m.diffrec", "--variant", "ease")
    succeed("recommend", "m.diffrec", "--cold-items", "new.csv", "--allow", "9", "--out", "top.npz")
    assert columns_of(folder / "top.npz")["item"] == ["9"] * 3
    (folder / "new.csv").write_text("item,kind\n8,tea\n")
    said = fail(1, "recommend", "m.diffrec", "--cold-items", "new.csv")
    assert "cold_items holds '8', which the model knows already" in said


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["--out", "top.xlsx"], 1, r"unknown suffix '\.xlsx', not one of \.csv, \.tsv"),
        (["--out", "."], 1, "unknown suffix|is a folder; name a file"),
        (["--out", "model.diffrec/top.csv"], 1, "is a file, so model.diffrec/top.csv cannot be written"),
        (["--histories", "ratings.csv", "--out", "ratings.csv"], 1, "ratings.csv is what is to be read, and would be"),
        (["--users", "nobody"], 1, "unknown user id 'nobody'; the model's are such as '"),
        (["--users", "ratings.csv"], 1, r"unknown user id.*\(for the ids in a file of that name write @ratings\.csv\)"),
        (["--users", "@gone.txt"], 1, "gone.txt does not exist; @FILE names a file with one id on each line"),
        (["--users", ","], 1, "',' names no user; write ids separated by commas"),
        (["--allow", "nothing"], 1, "unknown item id 'nothing'"),
        (["--unknown", "guess"], 1, "unknown must be one of 'error', 'skip', 'popular', got 'guess'"),
        (["--histories", "gone.csv"], 1, "gone.csv does not exist"),
        (["--user", "who"], 2, "only --histories and --candidates have columns; --users"),
        (["--users", "a", "--histories", "b.csv"], 2, "give one of the two, not both"),
        (["--candidates", "a.csv", "--histories", "b.csv"], 2, "give one of the two, not both"),
        (["--candidates", "gone.csv"], 1, "gone.csv does not exist"),
        (["--items", "gone.csv"], 1, "gone.csv does not exist"),
        (["--deny", "nothing", "--strict"], 1, "unknown item id 'nothing'"),
        (["--k", "0"], 2, "--k"),
        (["--steer", "jazz"], 1, "--steer takes NAME=WEIGHT, such as --steer 12=1.5, got 'jazz'"),
        (["--steer", "nothing=2"], 1, "steer names 'nothing', which is no item, tag or fact"),
        (["--diversity", "-1"], 1, "diversity must be at least 0, got -1"),
        (["--k", "many"], 2, "--k"),
        (["--actors", "2"], 2, "--actors: says nothing of a run without --engine ray"),
    ],
)
def test_bad_requests_are_explained(folder: Path, given: list[str], code: int, message: str) -> None:
    import re

    before = sorted(folder.iterdir())
    said = fail(code, "recommend", "model.diffrec", *given)
    assert re.search(message, said), said
    assert sorted(folder.iterdir()) == before


def test_a_file_that_cannot_hold_the_ids_is_left_as_it_was(folder: Path) -> None:
    diffrec.Interactions.from_arrays(["a\tb", "c"], [1, 2]).write("ids.parquet")
    succeed("fit", "ids.parquet", "--out", "m.diffrec", "--variant", "popularity")
    (folder / "top.inter").write_text("before")
    said = fail(1, "recommend", "m.diffrec", "--out", "top.inter")
    assert said == "error: user 'a\\tb' has a tab or line break, which a .inter file cannot hold; write .csv\n"
    assert (folder / "top.inter").read_text() == "before"
    assert leftovers(folder) == []


def test_people_and_items_the_model_does_not_know(folder: Path, data: diffrec.Interactions) -> None:
    known = str(data.users[3])
    listed = succeed("recommend", "model.diffrec", "--users", f"stranger,{known}", "--unknown", "skip", "--k", 2)
    assert [line.partition(",")[0] for line in listed.splitlines()] == ["user", known, known]
    popular = succeed("recommend", "model.diffrec", "--users", f"stranger,{known}", "--unknown", "popular", "--k", 1)
    assert popular.splitlines()[1].startswith("stranger,")
    result = run("recommend", "model.diffrec", "--users", known, "--deny", f"gone,{data.items[1]}")
    assert result.exit_code == 0
    assert "--deny: 1 items that the model does not know, such as 'gone'" in result.stderr


def test_the_moment_of_serving_is_named_by_text(folder: Path) -> None:
    days = [f"2026-01-0{day}" for day in (1, 2, 3, 4)]
    diffrec.Interactions.from_arrays([0, 0, 1, 1], [10, 20, 10, 30], timestamp=days).write("times.csv")
    succeed("fit", "times.csv", "--out", "m.diffrec", "--variant", "ease", "--set", "half_life=2d")
    rows = succeed("recommend", "m.diffrec", "--k", 1, "--now", "2026-01-09", "--json").splitlines()
    expected = diffrec.load("m.diffrec").recommend(k=1, now="2026-01-09")
    assert_array_equal(np.float32([json.loads(row)["score"] for row in rows]), expected.scores[:, 0])
    assert "is before the newest event" in fail(1, "recommend", "m.diffrec", "--now", "2026-01-01")
    assert "by the clock" in fail(1, "recommend", "model.diffrec", "--now", "2026-01-01")


def test_candidates_alone_are_ranked(folder: Path, data: diffrec.Interactions) -> None:
    users, items = [str(data.users[row]) for row in (1, 1, 4, 4, 4)], [str(data.items[row]) for row in (0, 2, 3, 5, 7)]
    diffrec.Interactions.from_arrays(users, items).write("pairs.csv")
    listed = succeed("recommend", "model.diffrec", "--candidates", "pairs.csv", "--include-seen", "--json")
    rows = [json.loads(line) for line in listed.splitlines()]
    assert {(str(row["user"]), str(row["item"])) for row in rows} == set(zip(users, items, strict=True))
    model = diffrec.load("model.diffrec")
    scores = model.score(data.users.ids[[1, 4]])
    for row in rows:
        place = ([1, 4].index(data.users.rows([row["user"]])[0]), data.items.rows([row["item"]])[0])
        assert row["score"] == pytest.approx(float(scores[place]), rel=1e-4)
    own = succeed("recommend", "model.diffrec", "--candidates", "pairs.csv", "--users", users[0], "--include-seen")
    assert len(own.splitlines()) == 1 + 2
    said = fail(1, "recommend", "model.diffrec", "--candidates", "pairs.csv", "--users", data.users[2])
    assert "candidates must name items for every user" in said
    diffrec.Interactions.from_arrays(["nobody"], items[:1]).write("pairs.csv")
    said = fail(1, "recommend", "model.diffrec", "--candidates", "pairs.csv", "--out", "top.parquet")
    assert "pairs.csv names no user that the model knows" in said


def test_unknown_items_of_files_are_counted_or_refused(folder: Path, data: diffrec.Interactions) -> None:
    user = str(data.users[1])
    diffrec.Interactions.from_arrays([user] * 2, [str(data.items[0]), "gone"]).write("pairs.csv")
    for option in ("--candidates", "--histories"):
        result = run("recommend", "model.diffrec", option, "pairs.csv", "--include-seen")
        assert result.exit_code == 0, result.stderr
        assert "pairs.csv: 1 interactions of unknown users or items left out" in result.stderr
        said = fail(1, "recommend", "model.diffrec", option, "pairs.csv", "--strict")
        assert "1 interactions are of users or items that the model does not know" in said


def test_titles_come_from_a_file_of_items(folder: Path, data: diffrec.Interactions) -> None:
    ids = data.items.ids.tolist()
    lines = [f"{one},Title of {one}" for one in ids[1:]]
    (folder / "catalogue.csv").write_text("\n".join(["item,title", *lines]))
    succeed("recommend", "model.diffrec", "--items", "catalogue.csv", "--k", 3, "--out", "top.parquet")
    written = columns_of(folder / "top.parquet")
    wanted = [str(one) if one == ids[0] else f"Title of {one}" for one in written["item"]]
    assert written["title"] == wanted
    (folder / "prices.csv").write_text("item,price\n" + "\n".join(f"{one},3" for one in ids))
    said = fail(1, "recommend", "model.diffrec", "--items", "prices.csv")
    assert "prices.csv has no column of titles, such as 'title' or 'name'; it has price" in said

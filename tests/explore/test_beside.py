"""What the page shows besides one list: another model, filters, times and counts, pictures, the overview."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec.explore import Explorer, Server
from support.browser import Page
from support.commands import fail, succeed
from support.servers import answering

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
DAY = 86400.0


def shop() -> diffrec.Interactions:
    """A world with prices and pictures, dates, and things that were bought twice."""
    world = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    user = np.repeat(np.arange(60), np.diff(world.matrix.indptr))
    rng = np.random.default_rng(0)
    prices = rng.integers(1, 9, 40) + 0.5
    prices[0] = np.nan
    pictures = np.array([PIXEL, "https://pictures.example/1.png"] * 20)
    again = np.arange(0, len(user), 5)
    rows, items = (
        np.concatenate([user, user[again]]),
        np.concatenate([world.matrix.indices, world.matrix.indices[again]]),
    )
    days = np.concatenate([rng.permutation(len(user)), len(user) + rng.permutation(len(again))])
    return diffrec.Interactions.from_arrays(
        world.users.ids[rows],
        world.items.ids[items],
        timestamp=1.7e9 // DAY * DAY + DAY * (days % 700),
        users=world.users.ids,
        items=world.items.ids,
        item_info={"genre": world.item_info["genre"], "price": prices, "image": pictures},
    )


DATA = shop()
TRAIN, VALID, TEST = DATA.split()


@pytest.fixture(scope="module")
def models() -> dict[str, diffrec.Recommender]:
    return {name: diffrec.fit(TRAIN, variant=name) for name in ("itemknn", "ease", "popularity")}


@pytest.fixture(scope="module")
def explorer(models: dict[str, diffrec.Recommender]) -> Explorer:
    others = {name: models[name] for name in ("ease", "popularity")}
    return Explorer(models["itemknn"], against=others, test=TEST, seen=VALID)


def test_another_model_is_asked_the_same(explorer: Explorer, models: dict[str, diffrec.Recommender]) -> None:
    asked = {"user": 3, "k": 5, "against": "ease", "deny": [7]}
    answer = explorer.recommend(asked)
    top = models["ease"].recommend(DATA.users[3], 5, deny=[DATA.items[7]])
    assert [one["row"] for one in answer["other"]] == top.item_rows[0].tolist()
    assert [one["score"] for one in answer["other"]] == pytest.approx(top.scores[0].tolist())
    typed = explorer.recommend({"history": [4, 1], "k": 5, "against": "ease"})
    matrix = np.zeros((1, 40))
    matrix[0, [1, 4]] = 1
    assert [one["row"] for one in typed["other"]] == models["ease"].recommend(matrix, 5).item_rows[0].tolist()
    assert explorer.recommend({"user": 3})["other"] is None
    with pytest.raises(ValueError, match="against must be one of ease, popularity, got 'eese'"):
        explorer.recommend({"user": 3, "against": "eese"})


def test_strangers_to_another_model_are_asked_about_by_their_history(
    models: dict[str, diffrec.Recommender],
) -> None:
    some = diffrec.fit(TRAIN.take(np.arange(1, 60)), variant="ease")
    answer = Explorer(models["itemknn"], against={"some": some}).recommend({"user": 0, "k": 5, "against": "some"})
    expected = some.recommend(TRAIN.take([0]), 5)
    assert [one["row"] for one in answer["other"]] == expected.item_rows[0].tolist()
    fewer = diffrec.fit(np.eye(4) + 1, variant="popularity")
    with pytest.raises(ValueError, match="fewer does not know the same items"):
        Explorer(models["itemknn"], against={"fewer": fewer})


def test_lists_are_narrowed_by_facts(explorer: Explorer) -> None:
    genre = DATA.item_info["genre"]
    chosen = str(genre[5])
    answer = explorer.recommend({"user": 3, "k": 40, "against": "ease", "where": {"genre": chosen}})
    assert {genre[one["row"]] for one in answer["top"] + answer["other"]} == {chosen}
    price = DATA.item_info["price"]
    listed = explorer.recommend({"user": 3, "k": 40, "again": True, "where": {"price": [3, 5.5]}})["top"]
    assert {one["row"] for one in listed} == set(np.flatnonzero((price >= 3) & (price <= 5.5)).tolist())
    cheap = explorer.recommend({"user": 3, "k": 40, "again": True, "where": {"price": [None, 2]}})["top"]
    assert {one["row"] for one in cheap} == set(np.flatnonzero(price <= 2).tolist())
    assert explorer.recommend({"user": 3, "where": {"price": [100, None]}})["top"] == []
    filters = {one["name"]: one for one in explorer.about()["filters"]}
    assert set(filters) == {"genre", "price"}
    assert (filters["price"]["low"], filters["price"]["high"]) == (np.nanmin(price), np.nanmax(price))
    assert set(filters["genre"]["choices"]) == set(genre.tolist())


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"prise": [1, 2]}, "there is no fact 'prise'; did you mean 'price'?"),
        ({"price": 3}, "price must be two numbers, the least and the most, got 3"),
        ({"price": ["a", None]}, "price must be two numbers"),
        ({"genre": 3}, "genre must be a text, got 3"),
        ([1], "where must be an object of facts and wishes"),
    ],
)
def test_impossible_filters_are_refused(explorer: Explorer, where: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        explorer.recommend({"user": 3, "where": where})


def test_histories_say_when_and_how_often(models: dict[str, diffrec.Recommender]) -> None:
    history = Explorer(diffrec.fit(DATA, variant="popularity")).recommend({"user": 3})["history"]
    own = DATA.take([3])
    assert own.timestamps is not None
    counts = np.bincount(own.cells_of_events(), minlength=len(own))
    assert {one["row"]: one["count"] for one in history} == dict(
        zip(own.matrix.indices.tolist(), counts.tolist(), strict=True)
    )
    assert max(one["count"] for one in history) > 1
    dates = [one["time"] for one in history]
    assert dates == sorted(dates, reverse=True)
    assert dates[0] == str(np.datetime64(int(own.timestamps.max()), "s"))[:10]


def test_pictures_within_the_data_are_shown_and_others_when_asked_for(models: dict[str, diffrec.Recommender]) -> None:
    for pictures in (False, True):
        explorer = Explorer(models["itemknn"], pictures=pictures)
        shown = {one["row"]: one["picture"] for one in explorer.recommend({"user": 3, "k": 40, "again": True})["top"]}
        assert {one for row, one in shown.items() if row % 2 == 0} == {PIXEL}
        remote = {one for row, one in shown.items() if row % 2}
        assert remote == ({"https://pictures.example/1.png"} if pictures else {None})
        assert explorer.about()["pictures"] is not pictures
        with answering(explorer) as server, urllib.request.urlopen(server.url) as page:
            policy = page.headers["Content-Security-Policy"]
        assert ("https:" in policy) is pictures


def test_the_overview_counts_and_measures(explorer: Explorer, models: dict[str, diffrec.Recommender]) -> None:
    overview = explorer.overview("most")
    lengths = np.diff(TRAIN.matrix.indptr)
    assert sum(bar["users"] for bar in overview["lengths"]) == 60
    for bar in overview["lengths"]:
        assert bar["users"] == ((lengths >= bar["low"]) & (lengths <= bar["high"])).sum()
    assert [one["count"] for one in overview["users"]] == sorted(lengths.tolist(), reverse=True)[:30]
    owners = np.bincount(TRAIN.matrix.indices, minlength=40)
    assert [one["users"] for one in overview["popular"]] == sorted(owners.tolist(), reverse=True)[:10]
    reports = {name: model.evaluate(TEST, seen=VALID) for name, model in models.items()}
    assert [one["name"] for one in overview["figures"]] == list(reports)
    for one in overview["figures"]:
        assert one["means"]["ndcg@20"] == pytest.approx(reports[one["name"]]["ndcg@20"])
    worst, best = (explorer.overview(order)["users"] for order in ("worst", "best"))
    served = reports["itemknn"].per_user["ndcg@20"]
    assert worst[0]["served"] == pytest.approx(served.min())
    assert best[0]["served"] == pytest.approx(served.max())
    json.dumps(overview)
    with pytest.raises(ValueError, match="did you mean 'most'"):
        explorer.overview("mots")
    with pytest.raises(ValueError, match="order 'best' needs a test set"):
        Explorer(models["itemknn"]).overview("best")


def test_the_command_takes_other_models_and_a_test_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: dict[str, diffrec.Recommender]
) -> None:
    served: list[Explorer] = []

    def interrupted(server: Server) -> None:
        served.append(server.explorer)
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    monkeypatch.chdir(tmp_path)
    for name, model in models.items():
        model.save(f"{name}.diffrec")
    TEST.write("test.csv")
    VALID.write("valid.csv")
    measured = ("--test", "test.csv", "--seen", "valid.csv")
    succeed("explore", "itemknn.diffrec", "--against", "ease.diffrec", *measured, "--pictures", "--port", 0)
    assert list(served[0].against) == ["ease"]
    assert served[0].pictures
    means = served[0].overview("worst")["figures"][0]["means"]
    assert means["ndcg@20"] == models["itemknn"].evaluate(TEST, seen=VALID)["ndcg@20"] > 0
    assert "--seen: says what --test does not rank" in fail(2, "explore", "itemknn.diffrec", "--seen", "valid.csv")
    said = fail(2, "explore", "itemknn.diffrec", "test.csv", "--test", "test.csv")
    assert "measures those the model learnt from" in said


# In a browser


def test_two_lists_filters_and_the_overview_in_a_browser(page: Page, explorer: Explorer) -> None:
    def shown(list_id: str) -> list[int]:
        rows = page.run(f"[...document.querySelectorAll('#{list_id} > li')].map((one) => Number(one.dataset.row))")
        return list(rows)

    def settled(action: str) -> None:
        page.run("delete document.body.dataset.ready")
        page.run(action)
        page.wait("document.body.dataset.ready")

    with answering(explorer) as server:
        page.open(f"{server.url}#user=3", 1500, 1000)
        page.wait("document.body?.dataset.ready && document.body?.dataset.overview")
        assert page.run("document.getElementById('other-side').hidden")
        choose = "s.dispatchEvent(new Event('change'))"
        settled(f"{{ const s = document.getElementById('against'); s.value = 'ease'; {choose} }}")
        answer = explorer.recommend({"user": 3, "against": "ease"})
        assert shown("top") == [one["row"] for one in answer["top"]]
        assert shown("other") == [one["row"] for one in answer["other"]]
        left, right = (
            page.run(f"document.getElementById('{one}').getBoundingClientRect().left") for one in ("top", "other")
        )
        assert right > left + 200
        # The overview takes the width of both columns.
        edge = "(id, side) => document.getElementById(id).closest('section').getBoundingClientRect()[side]"
        for title, side in (("history-title", "left"), ("top-title", "right")):
            assert page.run(f"(({edge})('overview-title', '{side}')) === (({edge})('{title}', '{side}'))")
        genre = str(DATA.item_info["genre"][5])
        settled(f"{{ const s = document.getElementById('fact-genre'); s.value = {json.dumps(genre)}; {choose} }}")
        narrowed = explorer.recommend({"user": 3, "against": "ease", "where": {"genre": genre}})
        assert shown("top") == [one["row"] for one in narrowed["top"]]
        assert "genre" in page.run("location.hash")
        assert page.run("document.querySelectorAll('#figures tbody tr').length") >= 5
        page.run(f"{{ const s = document.getElementById('order'); s.value = 'worst'; {choose} }}")
        page.wait("document.body.dataset.overview === 'worst'")
        first = explorer.overview("worst")["users"][0]
        assert page.run("document.querySelector('#people tbody button').textContent") == first["label"]
        settled("document.querySelector('#people tbody button').click()")
        assert f"user={first['row']}" in page.run("location.hash")
        assert page.run("document.querySelectorAll('#history time').length") > 0
        assert page.run("document.querySelectorAll('#top .picture').length") > 0
        # The address of another model: what this one does not have is left out of it.
        page.open(f"{server.url}#user=999&deny=2,999&steer=x:1&against=gone&where=%7B%22colour%22%3A%22red%22%7D")
        page.wait("document.body?.dataset.ready && document.body?.dataset.overview")
        assert shown("top") == [one["row"] for one in explorer.recommend({"user": 0, "deny": [2]})["top"]]
        assert page.run("location.hash") == "#user=0&deny=2"
        assert page.run("[0.0055, 12.34567, 0, 0.1].map(short)") == ["0.00550", "12.346", "0.000", "0.100"]
        page.open(f"{server.url}#user=3&against=ease", 360, 740, mobile=True)
        page.wait("document.body?.dataset.ready && document.body?.dataset.overview")
        assert page.run("document.documentElement.scrollWidth") <= 360
        tops = [
            page.run(f"document.getElementById('{one}-title').getBoundingClientRect().top")
            for one in ("history", "top", "overview")
        ]
        assert tops == sorted(tops)
        assert page.problems == []
        assert all(url.startswith(server.url) for url in page.requested)


def test_an_order_that_is_none_is_refused(explorer: Explorer) -> None:
    with answering(explorer) as server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server.url + "api/overview?order=mots")
        assert refused.value.code == 400
        refused.value.close()


def test_a_model_of_the_same_name_has_a_column_of_its_own(models: dict[str, diffrec.Recommender]) -> None:
    page = Explorer(models["ease"], against={"ease": models["popularity"]}, test=TEST, seen=VALID)
    assert [one["name"] for one in page.overview()["figures"]] == ["ease (this)", "ease"]


def test_who_did_not_learn_the_model_is_not_measured(models: dict[str, diffrec.Recommender]) -> None:
    with pytest.raises(ValueError, match="test measures those the model learnt from, and people are others"):
        Explorer(models["ease"], TRAIN.take([0, 1]), test=TEST)


def test_what_is_called_just_so_is_found_first() -> None:
    names = [f"Emma {number}" for number in range(30)] + ["Emma"]
    data = diffrec.Interactions.from_arrays(
        names, np.arange(100, 131), items=np.arange(100, 131), item_info={"title": names}, users=names
    )
    explorer = Explorer(diffrec.fit(data, variant="popularity"))
    assert explorer.search("users", "emma")[0] == {"row": 30, "label": "Emma"}
    assert explorer.search("items", "emma")[0]["row"] == 30
    # An item goes by its id, too.
    assert explorer.search("items", "107")[0]["row"] == 7
    assert explorer.about()["guided"] is False


def test_an_answer_that_fails_is_an_answer(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_at(_: str, __: str) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(explorer, "search", fail_at)
    with answering(explorer) as server:
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(server.url + "api/users?q=x")
        assert failed.value.code == 500
        assert json.load(failed.value) == {"error": "ZeroDivisionError: a mistake of ours"}
        failed.value.close()
    assert "fail_at" in capsys.readouterr().err


def test_people_without_known_items_are_shown_all_the_same(models: dict[str, diffrec.Recommender]) -> None:
    nobody = TRAIN.take([0, 1, 2]).where(np.zeros(TRAIN.take([0, 1, 2]).matrix.nnz, dtype=np.bool_))
    page = Explorer(models["ease"], nobody)
    assert page.overview()["lengths"] == [{"low": 0, "high": 0, "users": 3}]
    assert len(page.overview()["users"]) == 3

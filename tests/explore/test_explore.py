"""The page: what it answers, to whom, and what a browser makes of it."""

import contextlib
import json
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec.explore import Explorer, Server
from support.browser import Page
from support.commands import fail, succeed
from support.servers import answering

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)


@pytest.fixture(scope="module")
def model() -> diffrec.Recommender:
    quick = {"dims": (8,), "steps": 4, "epochs": 8, "batch_size": 30, "lr": 0.01, "holdout": 0, "progress": False}
    return diffrec.fit(DATA, variant="diffrec", **quick)


@pytest.fixture(scope="module")
def server(model: diffrec.Recommender) -> Iterator[Server]:
    with answering(Explorer(model)) as serving:
        yield serving


def ask(server: Server, path: str, body: Any = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"Content-Type": "application/json"} | headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


# Answers


def test_recommendations_are_the_models(server: Server, model: diffrec.Recommender) -> None:
    answer = ask(server, "api/recommend", {"user": 3, "k": 5, "deny": [7]})
    top = model.recommend(DATA.users[3], k=5, deny=[DATA.items[7]])
    assert [one["label"] for one in answer["top"]] == top.items[0].tolist()
    assert [one["score"] for one in answer["top"]] == pytest.approx(top.scores[0].tolist())
    assert answer["steps"] == model.reverse_steps(3, 5, deny=[DATA.items[7]]).item_rows.tolist()  # type: ignore[attr-defined]
    assert [one["row"] for one in answer["denied"]] == [7]
    assert answer["user"] == DATA.users[3]
    own = DATA.take([3])
    assert own.timestamps is not None
    assert [one["row"] for one in answer["history"]] == own.matrix.indices[np.argsort(-own.timestamps)].tolist()
    genres = DATA.item_info["genre"]
    assert all(one["facts"]["genre"] == genres[one["row"]] for one in answer["history"])


def test_reasons_sum_to_the_score(server: Server) -> None:
    for one in ask(server, "api/recommend", {"user": 3})["top"]:
        why = one["why"]
        parts = [past["part"] for past in why["items"]]
        total = sum(parts) + why["others"] + why["baseline"] + why["remainder"]
        assert total == pytest.approx(one["score"], rel=1e-5)
        assert abs(why["remainder"]) < 0.02 + 0.1 * abs(one["score"])


def test_a_typed_history_is_a_strangers(server: Server, model: diffrec.Recommender) -> None:
    answer = ask(server, "api/recommend", {"history": [9, 2, 5, 2], "k": 4})
    matrix = np.zeros((1, 40))
    matrix[0, [2, 5, 9]] = 1
    assert [one["row"] for one in answer["top"]] == model.recommend(matrix, 4).item_rows[0].tolist()
    assert [one["row"] for one in answer["history"]] == [5, 2, 9]
    assert answer["user"] is None
    assert ask(server, "api/recommend", {"history": [], "k": 4})["history"] == []


@pytest.mark.parametrize("variant", ["popularity", "itemknn", "lightgcn", "t-diffrec", "l-diffrec"])
def test_every_kind_of_model_can_be_looked_at(variant: str) -> None:
    quick = {"epochs": 1, "holdout": 0, "progress": False}
    if variant not in ("popularity", "itemknn"):
        quick |= {"factors": 4} if variant == "lightgcn" else {"dims": (8,)}
        settings = quick
    else:
        settings = {}
    explorer = Explorer(diffrec.fit(DATA, variant=variant, **settings))
    for asked in ({"user": 3}, {"history": [4, 1]}):
        answer = explorer.recommend(asked)
        assert len(answer["top"]) == 10
        assert all((one["why"] is None) == (variant == "lightgcn") for one in answer["top"])
        assert len(answer["steps"]) == (5 if variant == "l-diffrec" else 0)
        json.dumps(answer)


def test_searches_find_beginnings_first(server: Server) -> None:
    name = str(DATA.users[20])
    assert ask(server, f"api/users?q={name.lower().replace(' ', '%20')}")[0] == {"row": 20, "label": name}
    hits = ask(server, "api/items?q=the")
    assert len(hits) == 20
    assert all(hit["label"].lower().startswith("the") for hit in hits)
    assert ask(server, "api/items?q=no%20such%20thing") == []
    assert len(ask(server, "api/users")) == 20


def test_what_was_taken_may_be_asked_for_again(server: Server, model: diffrec.Recommender) -> None:
    answer = ask(server, "api/recommend", {"user": 3, "k": 9, "again": True})
    expected = model.recommend(DATA.users[3], k=9, exclude_seen=False)
    assert [one["row"] for one in answer["top"]] == expected.item_rows[0].tolist()


def test_what_drops_out_on_the_way_keeps_its_name_and_facts(server: Server) -> None:
    answer = ask(server, "api/recommend", {"user": 3, "k": 5, "diversity": 6})
    listed = {one["row"] for one in answer["top"]}
    passing = {row for step in answer["steps"] for row in step} - listed
    assert passing
    assert {int(row) for row in answer["passing"]} == passing
    for row, item in answer["passing"].items():
        assert item["label"] == DATA.item_labels[int(row)]
        assert item["facts"]["genre"] == DATA.item_info["genre"][int(row)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"user": 60}, "user must be from 0 to 59, got 60"),
        ({"user": "Ann"}, "user must be a whole number, got 'Ann'"),
        ({}, "user must be a whole number"),
        ({"history": [40]}, "history must be from 0 to 39, got 40"),
        ({"history": "4"}, "history must be a list of items' rows, got '4'"),
        ({"user": 1, "k": 0}, "k must be from 1 to 100, got 0"),
        ({"user": 1, "deny": [-1]}, "deny must be"),
        ({"user": 1, "steer": [3]}, "steer must be a list of pairs"),
        ({"user": 1, "novelty": "much"}, "novelty must be a number, got 'much'"),
        ({"user": 1, "again": "yes"}, "again must be True or False, got 'yes'"),
        ([1], "the request must be a JSON object"),
    ],
)
def test_impossible_questions_are_refused(server: Server, body: Any, said: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, "api/recommend", body)
    assert refused.value.code == 400
    assert said in json.load(refused.value)["error"]


def test_only_this_machine_and_only_this_page_are_answered(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    own = server.url.removesuffix("/")
    assert ask(server, "api/recommend", {"user": 1}, Origin=own)["top"]
    for site in ("same-origin", "none"):
        assert ask(server, "api/about", **{"Sec-Fetch-Site": site})["items"]
    with urllib.request.urlopen(
        urllib.request.Request(
            server.url,
            headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        )
    ) as opened:  # as a click on the address in a notebook's page
        assert opened.status == 200
    for site in ("cross-site", "same-site", "?"):  # as a foreign page's picture of that address
        for path in ("api/overview", "api/about", "page.js"):
            with pytest.raises(urllib.error.HTTPError) as foreign:
                ask(server, path, **{"Sec-Fetch-Site": site})
            assert foreign.value.code == 403
            foreign.value.close()
    for headers, code in (
        ({"Host": "evil.example:80"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": own.rpartition(":")[0]}, 403),  # a page of another server on this machine
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Length": "-1"}, 400),
        ({"Content-Length": "1048577"}, 400),
        ({"Content-Length": "9" * 5000}, 400),
        ({"Content-Length": "x"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(server, "api/recommend", {"user": 1}, **headers)
        assert refused.value.code == code
        refused.value.close()
    for path in (
        "../explorer.py",
        "%2e%2e/server.py",
        "page.html/../page.css",
        "//etc/passwd",
        "page.js%00",
        "api/users/x",
    ):
        with pytest.raises(urllib.error.HTTPError) as missing:
            ask(server, path)
        assert missing.value.code == 404
        missing.value.close()


def test_who_is_refused_while_sending_sees_why(server: Server) -> None:
    with socket.create_connection(server.server_address[:2]) as client:
        client.sendall(b"POST /api/recommend HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 20\r\n\r\n")
        for _ in range(2):
            time.sleep(0.1)
            client.sendall(b"0123456789")
        assert client.recv(100).startswith(b"HTTP/1.1 403")


def test_what_no_page_sends_is_refused(server: Server) -> None:
    rng = random.Random(0)
    values: list[Any] = [
        None, True, -1, 0, 5, 40, 2**63, 10**400, 0.5, 1e308, float("nan"), "", "\ud800", "é" * 2**16,
        [], [1], [[1, 2]], [[1, 1e308]], [[1, 10**400]], [[[1], 2]], [None], {}, [True], list(range(40)),
        [[item, 1.0] for item in range(40)],
    ]  # fmt: skip
    names = ["user", "history", "k", "deny", "again", "novelty", "diversity", "steer"]
    refused = 0
    for _ in range(150):
        asked = {"user": 3} | {rng.choice(names): rng.choice(values) for _ in range(2)}
        with contextlib.ExitStack() as refusal:
            try:
                ask(server, "api/recommend", asked)
            except urllib.error.HTTPError as error:
                found = refusal.enter_context(error)
            else:
                continue
            assert found.code == 400
            assert json.load(found)["error"]
            refused += 1
    assert 20 < refused < 150
    for body in (b"[" * 100_000, b"{", b"\xff", b"1" * 10_000, b'{"user": 1e999}'):
        request = urllib.request.Request(server.url + "api/recommend", body, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError, match="400") as damaged:
            urllib.request.urlopen(request)
        damaged.value.close()


def test_slow_clients_are_dropped_and_too_many_are_not_let_in(
    model: diffrec.Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffrec.explore.bounded_server.PATIENCE", 0.5)
    monkeypatch.setattr("diffrec.explore.bounded_server.CONNECTIONS", 4)
    with answering(Explorer(model)) as server:
        address = server.server_address[:2]
        slow = [socket.create_connection(address, timeout=10) for _ in range(4)]
        request = b"POST /api/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        slow[1].sendall(b"GET / HT")
        slow[2].sendall(request)
        slow[3].sendall(request + b"Content-Length: 9\r\n\r\n{")
        with pytest.raises(OSError, match="closed|reset|RemoteDisconnected"):
            ask(server, "api/about")  # a fifth
        started = time.monotonic()
        # A byte now and then is no request.
        while time.monotonic() - started < 10:
            try:
                slow[2].sendall(b"X")
            except OSError:
                break
            time.sleep(0.1)
        for connection in slow:
            with contextlib.suppress(ConnectionError):
                while connection.recv(4096):
                    pass
            connection.close()
        assert time.monotonic() - started < 5
        while server._deadlines:
            time.sleep(0.01)
        assert ask(server, "api/about")["items"] == 40


def test_an_answer_may_take_its_time(model: diffrec.Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffrec.explore.bounded_server.PATIENCE", 0.2)
    explorer = Explorer(model)
    monkeypatch.setattr(explorer, "about", lambda: time.sleep(0.6) or {"slow": True})
    with answering(explorer) as server:
        assert ask(server, "api/about") == {"slow": True}


# The command


def test_the_command_serves_until_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: diffrec.Recommender
) -> None:
    served: list[Any] = []

    def interrupted(server: Server) -> None:
        served.append(server.explorer.recommend({"user": 0})["user"])
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    monkeypatch.chdir(tmp_path)
    model.save("model.diffrec")
    DATA.take([5, 6]).write("people.csv")
    assert succeed("explore", "model.diffrec", "--port", 0).startswith("http://127.0.0.1:")
    succeed("explore", "model.diffrec", "people.csv", "--port", 0)
    assert served[0] == DATA.users[0]
    assert served[1] in DATA.users.ids[[5, 6]]
    assert "only DATA has columns" in fail(2, "explore", "model.diffrec", "--user", "who")
    with Server(Explorer(model)) as other:
        said = fail(1, "explore", "model.diffrec", "--port", other.server_address[1])
    assert f"port {other.server_address[1]} of this machine cannot be used" in said


# In a browser


def shown(page: Page, list_id: str) -> list[int]:
    """Rows of the items in a list of the page."""
    return list(page.run(f"[...document.querySelectorAll('#{list_id} > li')].map((one) => Number(one.dataset.row))"))


def settled(page: Page, action: str | None = None) -> None:
    """Wait until the page shows what was asked for last."""
    if action is not None:
        page.run("delete document.body.dataset.ready")
        page.run(action)
    page.wait("document.body?.dataset.ready")


def test_the_page_in_a_browser(page: Page, server: Server, model: diffrec.Recommender, tmp_path: Path) -> None:
    top = model.recommend(3, k=12).item_rows[0].tolist()
    page.open(f"{server.url}#user=3")
    settled(page)
    assert shown(page, "top") == top[:10]
    assert "DiffRec(" in page.run("document.getElementById('model').textContent")
    assert page.run("document.querySelectorAll('#top details').length") == 10

    # An item that is denied is gone and the next one moves up; it may come back.
    settled(page, "document.querySelector('#top .deny').click()")
    assert shown(page, "top") == top[1:11]
    assert f"deny={top[0]}" in page.run("location.hash")
    settled(page, "document.querySelector('#denied button').click()")
    assert shown(page, "top") == top[:10]

    # The slider leads through the reverse steps.
    steps = model.reverse_steps(3, 10).item_rows.tolist()  # type: ignore[attr-defined]
    for step in (1, 2, 4):
        page.run(
            f"{{ const s = document.getElementById('step'); s.value = {step}; s.dispatchEvent(new Event('input')) }}"
        )
        assert shown(page, "top") == steps[step - 1]
    assert page.run("document.getElementById('step-name').textContent") == "4 of 4"

    # A history is edited, and another one typed.
    before = shown(page, "history")
    settled(page, "document.querySelector('#history button').click()")
    assert shown(page, "history")[0] == before[1]
    settled(page, "document.getElementById('nobody').click()")
    assert shown(page, "history") == []
    name = json.dumps(str(DATA.items[5]))
    settled(
        page, f"document.getElementById('item').value = {name}; document.getElementById('item-form').requestSubmit()"
    )
    assert shown(page, "history") == [5]
    person = json.dumps(str(DATA.users[8]))
    settled(
        page, f"document.getElementById('user').value = {person}; document.getElementById('user-form').requestSubmit()"
    )
    assert shown(page, "top") == model.recommend(8, k=10).item_rows[0].tolist()

    page.run("document.getElementById('user').value = 'nobody by this name'")
    page.run("document.getElementById('user-form').requestSubmit()")
    page.wait("!document.getElementById('error').hidden")
    assert "nobody by this name" in page.run("document.getElementById('error').textContent")

    page.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert page.problems == []
    assert all(url.startswith(server.url) for url in page.requested)


def test_titles_and_ids_are_shown_as_text(page: Page) -> None:
    bad = [
        "<img src=x onerror=document.title='hacked'>",
        "</script><script>document.title='hacked'</script>",
        "&lt;b&gt;",
    ]
    names = [*bad, "\u202egnirts", "x" * 2**20, "a\x00b\n", "\U0001f600", "plain"]
    user, item = np.repeat(names, 4), np.array(names)[np.arange(4 * len(names)) * 3 % len(names)]
    data = diffrec.Interactions.from_arrays(
        user, item, items=names, item_info={"title": names, "genre": names[::-1]}, users=names
    )
    with answering(Explorer(diffrec.fit(data, variant="itemknn"))) as server:
        for user_row in range(2):
            page.open(f"{server.url}#user={user_row}")
            settled(page)
            assert page.run("document.title") != "hacked"
            assert page.run("document.querySelectorAll('img').length") == 0
        assert bad[0] in page.run("document.body.textContent")
    assert page.problems == []


def test_the_page_guides(page: Page, server: Server, model: diffrec.Recommender) -> None:
    page.open(f"{server.url}#user=3")
    settled(page)
    plain = model.recommend(3, k=10).item_rows[0].tolist()
    assert shown(page, "top") == plain
    assert not page.run("document.getElementById('guidance').hidden")

    def slide(name: str, value: float) -> None:
        change = "s.dispatchEvent(new Event('change'))"
        settled(page, f"{{ const s = document.getElementById('{name}'); s.value = {value}; {change} }}")

    slide("novelty", 0.5)
    assert shown(page, "top") == model.recommend(3, k=10, novelty=0.5).item_rows[0].tolist()
    assert page.run("document.getElementById('novelty-value').textContent") == "0.5"
    # What guidance added to a score has a line among its reasons, and the lines sum to the score.
    sums = """[...document.querySelectorAll('#top details')].map((one) => [...one.querySelectorAll('td.number')]
        .map((cell) => Number(cell.textContent.replace('\u2212', '-')))).map((parts) => [
        parts.slice(0, -1).reduce((sum, part) => sum + part, 0), parts.at(-1)])"""
    for parts, score in page.run(sums):
        assert parts == pytest.approx(score, abs=0.006)
    assert "guidance" in page.run("document.getElementById('top').textContent")
    slide("novelty", 0)
    slide("diversity", 8)
    assert shown(page, "top") == model.recommend(3, k=10, diversity=8).item_rows[0].tolist()
    slide("diversity", 0)
    assert shown(page, "top") == plain
    settled(page, "document.querySelectorAll('#top .more')[6].click()")
    steered = model.recommend(3, k=10, steer={DATA.items[plain[6]]: 1}).item_rows[0].tolist()
    assert shown(page, "top") == steered
    assert steered.index(plain[6]) < 6
    assert f"steer={plain[6]}%3A1" in page.run("location.hash")
    settled(page, "document.querySelector('#steered button').click()")
    assert shown(page, "top") == plain
    assert page.problems == []


def test_the_page_fits_a_phone_and_says_what_its_parts_are(page: Page, server: Server) -> None:
    page.open(f"{server.url}#user=3", 360, 740, mobile=True)
    settled(page)
    assert page.run("document.documentElement.scrollWidth") <= 360
    nameless = """[...document.querySelectorAll('button, input, meter')].filter((one) =>
        !one.textContent.trim() && !one.getAttribute('aria-label') && !(one.labels && one.labels.length)).length"""
    assert page.run(nameless) == 0
    assert page.run("document.documentElement.lang") == "en"
    small = "[...document.querySelectorAll('button')].filter((one) => one.offsetParent && one.offsetHeight < 24).length"
    assert page.run(small) == 0

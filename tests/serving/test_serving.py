"""The server: its answers are the model's, whoever else asks; what it refuses, counts and survives."""

import asyncio
import contextlib
import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec.recommenders.pasts import Past, histories_of
from diffrec.serving import Server
from diffrec.serving.answers import recommendations
from diffrec.serving.app import application
from diffrec.serving.batching import Batcher, BusyError
from diffrec.serving.bounded_protocol import LARGEST_HEAD, BoundedProtocol
from diffrec.serving.metrics import resident_bytes
from diffrec.serving.questions import Recommend
from support.commands import fail

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
USERS, ITEMS = DATA.users.ids.tolist(), DATA.items.ids.tolist()


@pytest.fixture(scope="module")
def model() -> diffrec.Recommender:
    return diffrec.fit(DATA, variant="diffrec", dims=(8,), steps=2, epochs=2, holdout=0, progress=False)


@pytest.fixture(scope="module")
def file(model: diffrec.Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "model.diffrec"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def server(file: Path) -> Iterator[Server]:
    with Server(file, port=0, largest=20_000) as serving:
        yield serving


def port_of(server: Server) -> int:
    return int(server.url.rstrip("/").rpartition(":")[2])


def ask(server: Server, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=60)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("GET" if body is None else "POST", path, data, {"Content-Type": "application/json"} | headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text) if answer.getheader("Content-Type") == "application/json" else text


def agree(said: Any, top: diffrec.Top) -> None:
    _, items, scores = top[0]
    assert said["items"] == items.tolist()
    np.testing.assert_allclose(said["scores"], scores, rtol=1e-4, atol=1e-6)


# Answers


def test_recommendations_are_the_models(server: Server, model: diffrec.Recommender) -> None:
    for user in USERS[:10]:
        status, said = ask(server, "/recommend", {"user": user, "k": 7})
        assert (status, said["user"], said["left_out"]) == (200, user, 0)
        agree(said, model.recommend([user], k=7))
    limits = {"allow": ITEMS[5:25], "deny": ITEMS[20:30], "exclude_seen": False}
    agree(ask(server, "/recommend", {"user": USERS[3], **limits})[1], model.recommend(USERS[3], **limits))
    guided = {"novelty": 0.5, "diversity": 2.0, "steer": {ITEMS[4]: 1.5}}
    agree(ask(server, "/recommend", {"user": USERS[3], **guided})[1], model.recommend(USERS[3], **guided))
    few = ask(server, "/recommend", {"user": USERS[3], "allow": ITEMS[:2], "exclude_seen": False, "titles": True})[1]
    assert sorted(few["items"]) == sorted(few["titles"]) == sorted(ITEMS[:2])


def test_a_history_is_a_strangers(server: Server, model: diffrec.Recommender) -> None:
    said = ask(server, "/recommend", {"history": [ITEMS[9], "no such thing", ITEMS[2]], "k": 5})[1]
    assert (said["user"], said["left_out"]) == (None, 1)
    agree(said, model.recommend(histories_of([Past(np.array([9, 2]))], DATA.items), 5))
    assert len(ask(server, "/recommend", {"history": []})[1]["items"]) == 20
    strict = ask(server, "/recommend", {"history": ["no such thing"], "strict": True})
    assert strict == (404, {"error": "history: the model does not know 'no such thing'"})


def test_times_and_values_of_a_history_count() -> None:
    timed = diffrec.Interactions(DATA.matrix, DATA.timestamps, DATA.users, DATA.items)
    aged = diffrec.fit(timed, variant="t-diffrec", dims=(8,), steps=2, epochs=1, holdout=0, progress=False)
    rows, times = [3, 8, 1], [1e9, 2e9, 1.5e9]
    one = Recommend(history=[ITEMS[row] for row in rows], times=times, k=6)
    (said,) = recommendations(aged, [one])
    expected = aged.recommend(histories_of([Past(np.array(rows), np.array(times))], DATA.items), 6)
    agree(said, expected)
    assert said != recommendations(aged, [one.model_copy(update={"times": times[::-1]})])[0]


def test_questions_together_are_answered_as_alone(model: diffrec.Recommender) -> None:
    """Whatever stands in one block: known and unknown users, limits of their own, twice the same person."""
    questions = [Recommend(user=user, k=5) for user in USERS[:6]]
    questions += [Recommend(user=USERS[0], k=5, deny=ITEMS[:20]), Recommend(user=USERS[0], k=5, allow=ITEMS[:9])]
    questions += [Recommend(user="nobody", k=5), Recommend(user="nobody", k=5, unknown="popular")]
    questions += [Recommend(history=ITEMS[4:9], k=5), Recommend(history=ITEMS[1:3], k=5, deny=ITEMS[9:12])]
    questions += [Recommend(user=USERS[1], k=5, now=0.0), Recommend(user=USERS[1], k=9, novelty=1.0)]
    together = assert_answered_as_alone(model, questions)
    assert sum(isinstance(said, Exception) for said in together) == 2


def test_one_persons_unit_of_time_is_no_matter_of_anothers() -> None:
    days = {"time_weights": "exponential", "half_life": timedelta(days=1)}
    timed = diffrec.Interactions(DATA.matrix, DATA.timestamps, DATA.users, DATA.items)
    aged = diffrec.fit(timed, variant="t-diffrec", dims=(8,), steps=2, epochs=1, holdout=0, progress=False, **days)
    seconds = np.array([1.7e9, 1.7e9 + 86400, 1.7e9 + 10 * 86400])
    questions = [Recommend(history=ITEMS[3:6], times=(seconds * unit).tolist(), k=5) for unit in (1, 1e3, 1e3, 1e6)]
    assert_answered_as_alone(aged, questions)
    histories = [histories_of([Past(np.array([3, 4, 5]), np.array(one.times))], DATA.items) for one in questions]
    for one in histories:
        np.testing.assert_allclose(one.timestamps, seconds)


def assert_answered_as_alone(model: diffrec.Recommender, questions: list[Recommend]) -> Sequence[Any]:
    together = recommendations(model, questions)
    for one, said in zip(questions, together, strict=True):
        (alone,) = recommendations(model, [one])
        if isinstance(alone, Exception):
            assert (type(said), str(said)) == (type(alone), str(alone))
        else:
            assert isinstance(said, dict)
            assert {**said, "scores": 0} == {**alone, "scores": 0}
            np.testing.assert_allclose(said["scores"], alone["scores"], rtol=1e-4, atol=1e-6)
    return together


def test_who_asks_alike_is_answered_by_one_call(model: diffrec.Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    recommend = type(model).recommend

    def counted(self: Any, users: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(len(users))
        return recommend(self, users, *arguments, **named)

    monkeypatch.setattr(type(model), "recommend", counted)
    recommendations(model, [Recommend(user=user, deny=[ITEMS[row]]) for row, user in enumerate(USERS[:30])])
    assert calls == [30]


SMALL: dict[str, Any] = {"variant": "diffrec", "dims": (8,), "epochs": 1, "holdout": 0, "progress": False}


def test_integer_ids_and_steering_by_them() -> None:
    numbered = diffrec.Interactions.from_csr(DATA.matrix)
    model = diffrec.fit(numbered, **SMALL)
    (said,) = recommendations(model, [Recommend(user=3, k=4, steer={"7": 2.0})])
    agree(said, model.recommend(3, 4, steer={7: 2.0}))
    below = diffrec.fit(numbered.with_ids(items=diffrec.Ids(np.arange(numbered.shape[1]) - 5, "item")), **SMALL)
    (said,) = recommendations(below, [Recommend(user=3, k=4, steer={"-3": 2.0})])
    agree(said, below.recommend(3, 4, steer={-3: 2.0}))
    (strange,) = recommendations(model, [Recommend(user="3")])
    assert str(strange) == "unknown user id '3' (user ids are integers here)"


def test_similar_items_and_reasons(server: Server, model: diffrec.Recommender) -> None:
    agree(ask(server, "/similar", {"item": ITEMS[6], "k": 4})[1], model.similar_items(ITEMS[6], 4))
    why = model.explain(USERS[2], ITEMS[6], 3)
    said = ask(server, "/explain", {"user": USERS[2], "item": ITEMS[6], "k": 3})[1]
    assert said["items"] == why.items.tolist()
    assert said["score"] == pytest.approx(why.score)
    total = sum(said["contributions"]) + said["others"] + said["baseline"] + said["remainder"]
    assert total == pytest.approx(why.score, rel=1e-4)
    assert said["left_out"] == 0
    status, said = ask(server, "/explain", {"history": [*ITEMS[:3], "no such thing"], "item": ITEMS[6]})
    assert (status, said["left_out"]) == (200, 1)


# Refusals


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/recommend", {"user": "nobody"}, 404, "unknown user id 'nobody'"),
        ("/recommend", {"user": 5}, 404, "unknown user id 5 (user ids are strings here)"),
        ("/recommend", {"user": 10**30}, 400, "user ids must fit into 64 signed bits"),
        ("/recommend", {}, 400, "name either user or history"),
        ("/recommend", {"user": "a", "history": []}, 400, "name either user or history"),
        ("/recommend", {"user": USERS[0], "k": 0}, 400, "k should be greater than or equal to 1, got 0"),
        ("/recommend", {"user": USERS[0], "k": 10**9}, 400, "k should be less than or equal to 1000, got 1000000000"),
        ("/recommend", {"user": USERS[0], "k": "5"}, 400, "k should be a valid integer, got '5'"),
        ("/recommend", {"user": USERS[0], "kk": 5}, 400, "there is no argument 'kk'; did you mean 'k'?"),
        ("/recommend", {"user": USERS[0], "allow": ["x"]}, 400, "allow names no item that the model knows, got ['x']"),
        ("/recommend", {"user": USERS[0], "steer": {"x": 1}}, 400, "steer"),
        ("/recommend", {"user": USERS[0], "diversity": -1}, 400, "diversity must be at least 0, got -1"),
        ("/recommend", {"user": USERS[0], "now": 5}, 400, "now is for models that count ages by the clock"),
        ("/recommend", {"history": [1, "a"]}, 400, "history must hold integers or strings, not both, got [1, 'a']"),
        ("/recommend", {"history": ["a"], "times": []}, 400, "times must have one number for each item of history"),
        ("/recommend", {"history": ITEMS[:1], "values": [-1]}, 400, "values must be at least 0, got -1.0"),
        ("/recommend", {"history": ITEMS[:1], "times": [float("nan")]}, 400, "times must be finite, got nan"),
        ("/recommend", {"history": [1.5]}, 400, "history must hold integers or strings, got 1.5"),
        ("/similar", {"item": 1.5}, 400, "item must be an integer or a string, got 1.5"),
        ("/recommend", [1], 400, "the request should be a valid dictionary"),
        ("/recommend", b"{nope", 400, "the request is no JSON"),
        ("/similar", {"item": "nothing"}, 404, "unknown item id 'nothing'"),
        ("/similar", {}, 400, "item is missing"),
        ("/explain", {"user": "nobody", "item": ITEMS[0]}, 404, "unknown user id 'nobody'"),
        ("/explain", {"user": USERS[0], "item": ITEMS[0], "points": 10**6}, 400, "points should be less than"),
        ("/nothing", {}, 404, "there is nothing at /nothing; there are /recommend"),
        ("/health", {}, 405, "POST is not answered at /health"),
    ],
)  # fmt: skip
def test_impossible_questions_are_refused(server: Server, path: str, body: Any, status: int, said: str) -> None:
    found, answer = ask(server, path, body)
    assert found == status
    assert said in answer["error"]


def test_only_who_means_this_server_is_answered(server: Server) -> None:
    for headers, status, said in (
        ({"Host": "evil.example:80"}, 403, "got 'evil.example'"),
        ({"Origin": "http://evil.example"}, 403, "got 'http://evil.example'"),
        ({"Origin": "null"}, 403, "got 'null'"),
        ({"Content-Type": "text/plain"}, 415, "content-type must be application/json, got 'text/plain'"),
    ):
        found, answer = ask(server, "/recommend", {"user": USERS[0]}, **headers)
        assert found == status
        assert said in answer["error"]
    assert ask(server, "/health", Host="localhost:1")[0] == 200
    assert ask(server, "/health", Host="[::1]", Origin="http://localhost:9000")[0] == 200
    assert ask(server, "/health", Origin="https://evil.example")[0] == 403
    found, answer = ask(server, "/recommend", {"history": ["x" * 50_000]})
    assert (found, answer["error"].split(",")[0]) == (413, "a request must have at most 20000 bytes")


def test_a_body_of_no_known_length_is_limited_too(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=60)
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/recommend", (b"x" * 4000 for _ in range(8)), headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_that_does_not_come_is_not_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffrec.serving.gate.PATIENCE", 0.2)
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=60)
    connection.putrequest("POST", "/recommend")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "100")
    connection.endheaders()
    connection.send(b"{")
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["error"]) == (408, "a request must arrive within 0.2 s")
    connection.close()


def hung_up(connection: socket.socket) -> tuple[bytes, float]:
    """What a server says before it hangs up, and after how many seconds it does."""
    started, said = time.monotonic(), b""
    connection.settimeout(10)
    while piece := connection.recv(1 << 16):
        said += piece
    return said, time.monotonic() - started


@pytest.fixture
def small_server(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("diffrec.serving.gate.PATIENCE", 0.4)
    with Server(file, port=0, connections=3) as serving:
        yield serving


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["first", "second"])
@pytest.mark.parametrize("begun", [b"GET /", b"GET /health HTTP/1.1\r\nHost: loc", b"\r\n"])
def test_a_head_that_does_not_come_is_not_waited_for(small_server: Server, before: bytes, begun: bytes) -> None:
    """However its bytes drip: the time is that of all of it."""
    with socket.create_connection(("127.0.0.1", port_of(small_server)), timeout=10) as connection:
        if before:
            connection.sendall(before)
            assert b"200 OK" in connection.recv(1 << 16)
        connection.sendall(begun)
        dripping = threading.Event()

        def drip() -> None:
            while not dripping.wait(0.05):
                try:
                    connection.send(b"\r\n" if begun == b"\r\n" else b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            said, seconds = hung_up(connection)
        except ConnectionResetError:  # what dripped came after the end
            said, seconds = b"408 Request Timeout", 0.0
        dripping.set()
        thread.join()
    assert b"408 Request Timeout" in said
    assert seconds < 5


def test_who_says_nothing_is_dropped_and_who_is_one_too_many_is_told(small_server: Server) -> None:
    held = [socket.create_connection(("127.0.0.1", port_of(small_server)), timeout=10) for _ in range(3)]
    with socket.create_connection(("127.0.0.1", port_of(small_server)), timeout=10) as another:
        said, seconds = hung_up(another)
    assert b"503 Service Unavailable" in said
    assert seconds < 0.3
    for connection in held:
        assert hung_up(connection)[0] == b""
        connection.close()
    assert ask(small_server, "/health")[0] == 200


@pytest.mark.parametrize("size", [100_000, 400_000, 900_000])
def test_large_bodies_are_no_large_heads(small_server: Server, size: int) -> None:
    body = json.dumps({"items": ["nobody knows this"] * (size // 21)}).encode()
    for _ in range(3):
        status, said = ask(small_server, "/recommend", body)
        assert status == 400
        assert "there is no argument 'items'" in said["error"]


def ask_on(connection: socket.socket, question: bytes) -> None:
    """Ask again and again for ten seconds, and take no answer."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        connection.sendall(question * 20)
        time.sleep(0.01)  # the server's turn


def test_who_takes_no_answer_is_dropped(small_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[HTTPStatus] = []
    monkeypatch.setattr(BoundedProtocol, "_refuse", lambda self, status, text: refused.append(status))
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", port_of(small_server)))
        question = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with pytest.raises(ConnectionError):
            ask_on(connection, question)
    assert not refused


@pytest.mark.parametrize(
    "head", [b"/" + b"x" * 2**17, b"/health HTTP/1.1\r\nHost: " + b"x" * 2**17, b"/ HTTP/1.1\r\n" + b"a: b\r\n" * 2**15]
)
def test_a_large_head_is_refused(server: Server, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as connection:
        # No more than is too much: what is left unread when a server hangs up takes its last words along.
        connection.sendall((b"GET " + head)[: LARGEST_HEAD + 1])
        assert b"431 Request Header Fields Too Large" in hung_up(connection)[0]


def test_rows_of_no_item_are_refused() -> None:
    for row in (-1, len(ITEMS)):
        with pytest.raises(ValueError, match=f"rows must be below the {len(ITEMS)} items, got {row}"):
            histories_of([Past(np.array([0, row]))], DATA.items)


def test_large_heads_take_no_memory(server: Server) -> None:
    """Of many clients at once, each of which goes on until it is refused."""
    large, before = b"GET / HTTP/1.1\r\nHost: " + b"x" * 2**26, resident_bytes() or 0
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            address = ("127.0.0.1", port_of(server))
            connection = stack.enter_context(socket.create_connection(address, timeout=10))
            with contextlib.suppress(OSError):
                connection.sendall(large)
        assert (resident_bytes() or 0) - before < 2**25


def test_reload_is_for_this_machine_alone(server: Server) -> None:
    answers: list[Any] = []

    async def answered(client: str) -> int:
        scope = {"type": "http", "method": "POST", "path": "/reload", "query_string": b"", "client": (client, 5)}
        scope |= {"headers": [(b"host", b"localhost"), (b"content-type", b"application/json")], "http_version": "1.1"}
        messages = [{"type": "http.request", "body": b"{}", "more_body": False}]

        async def receive() -> Any:
            return messages.pop() if messages else await asyncio.sleep(60)

        async def send(message: Any) -> None:
            answers.append(message)

        await application(server.held)(scope, receive, send)
        return int(next(one["status"] for one in answers[-2:] if one["type"] == "http.response.start"))

    assert asyncio.run(answered("10.0.0.9")) == 403
    assert asyncio.run(answered("127.0.0.1")) == 200


def test_names_that_clients_may_call_it_by(file: Path) -> None:
    with Server(file, port=0, hosts=["shop.example"]) as server:
        assert ask(server, "/health", Host="Shop.Example:80")[0] == 200
        with pytest.raises(OSError, match=f"127.0.0.1:{port_of(server)} cannot be used"):
            Server(file, port=port_of(server))


# Batches


def test_what_comes_meanwhile_is_answered_together() -> None:
    calls: list[list[int]] = []
    begun, go = threading.Event(), threading.Event()

    def answer(numbers: Sequence[int]) -> list[Any]:
        calls.append(list(numbers))
        begun.set()
        go.wait(60)
        return [ValueError("seven") if number == 7 else -number for number in numbers]

    async def main() -> list[Any]:
        batcher = Batcher(answer, most=4, longest=8)
        first = asyncio.create_task(batcher.ask(1))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(batcher.ask(number)) for number in range(2, 10)]
        await asyncio.sleep(0.01)
        with pytest.raises(BusyError, match="8 requests wait already"):
            await batcher.ask(0)
        # Who goes away is not asked for.
        others[1].cancel()
        go.set()
        found = await asyncio.gather(first, *others, return_exceptions=True)
        batcher.close()
        return found

    found = asyncio.run(main())
    assert calls == [[1], [2, 4, 5], [6, 7, 8, 9]]
    assert [found[0], found[1], *found[3:6]] == [-1, -2, -4, -5, -6]
    assert isinstance(found[2], asyncio.CancelledError)
    assert str(found[6]) == "seven"


class Panic(BaseException):
    """As a kernel's is: no ``Exception``."""


@pytest.mark.parametrize("kind", [RuntimeError, Panic])
def test_a_call_that_fails_reaches_all_who_wait_and_nobody_after(kind: type[BaseException]) -> None:
    def answer(numbers: Sequence[int]) -> list[int]:
        if 0 in numbers:
            raise kind("broken")
        return list(numbers)

    async def main() -> list[Any]:
        batcher = Batcher(answer)
        found = await asyncio.gather(*(batcher.ask(number) for number in (0, 1)), return_exceptions=True)
        return [*found, await batcher.ask(2)]

    first, second, third = asyncio.run(main())
    assert isinstance(first, RuntimeError)
    assert str(first) == str(second)
    assert "broken" in str(first)
    assert third == 2


def test_many_clients_get_their_own_answers(server: Server, model: diffrec.Recommender) -> None:
    top = model.recommend(USERS, k=5)
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda user: ask(server, "/recommend", {"user": user, "k": 5}), USERS))
    assert [status for status, _ in said] == [200] * 60
    assert [answer["items"] for _, answer in said] == top.items.tolist()


# Health, metrics, reload


def test_health_and_metrics(server: Server) -> None:
    status, said = ask(server, "/health")
    assert (status, said["status"], said["variant"], said["users"]) == (200, "ok", "diffrec", 60)
    ask(server, "/recommend", {"user": USERS[0]})
    status, text = ask(server, "/metrics")
    assert status == 200
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    counts = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    assert counts['diffrec_requests_total{path="/recommend",status="200"}'] >= 1
    buckets = [
        value for name, value in counts.items() if name.startswith('diffrec_request_seconds_bucket{path="/recommend"')
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == counts['diffrec_request_seconds_count{path="/recommend"}']
    assert counts["process_resident_memory_bytes"] > 1e6
    assert "/openapi.json" not in text
    schema = ask(server, "/openapi.json")[1]
    assert schema["components"]["schemas"]["Recommend"]["properties"]["k"]["maximum"] == 1000


def full(*_: Any, **__: Any) -> None:
    raise RuntimeError("out of memory")


def test_reload_drops_nothing_and_a_broken_file_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = diffrec.fit(DATA, variant="popularity"), diffrec.fit(DATA, variant="itemknn")
    path = tmp_path / "model.diffrec"
    old.save(path)
    tops = [model.recommend(USERS, k=5).items for model in (old, new)]
    place = int(np.flatnonzero((tops[0] != tops[1]).any(axis=1))[0])
    lists, user = [top[place].tolist() for top in tops], USERS[place]
    with Server(path, port=0) as server:
        done = threading.Event()
        seen: list[tuple[int, Any]] = []

        def asking() -> None:
            while not done.is_set():
                seen.append(ask(server, "/recommend", {"user": user, "k": 5}))

        threads = [threading.Thread(target=asking) for _ in range(4)]
        for thread in threads:
            thread.start()
        for model in (new, old, new):
            model.save(path)
            status, said = ask(server, "/reload", {})
            assert (status, said["variant"]) == (200, model.variant)
        done.set()
        for thread in threads:
            thread.join()
        assert {status for status, _ in seen} == {200}
        assert {tuple(answer["items"]) for _, answer in seen} <= {tuple(one) for one in lists}
        path.write_bytes(b"no model")
        status, said = ask(server, "/reload", {})
        assert status == 500
        assert "the model stays as it was" in said["error"]
        assert ask(server, "/recommend", {"user": user, "k": 5})[1]["items"] == lists[1]
        # Whatever it is: that a GPU is full is a RuntimeError.
        monkeypatch.setattr("diffrec.serving.reloaded_model.load", full)
        assert ask(server, "/reload", {})[0] == 500
        text = ask(server, "/metrics")[1]
        assert 'diffrec_reloads_total{outcome="done"} 3' in text
        assert 'diffrec_reloads_total{outcome="failed"} 2' in text


def test_the_command_serves_reloads_at_a_signal_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "model.diffrec"
    diffrec.fit(DATA, variant="popularity").save(path)
    command = [sys.executable, "-m", "diffrec", "serve", str(path), "--port", "0", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=60)

        def variant() -> str:
            connection.request("GET", "/health")
            return str(json.load(connection.getresponse())["variant"])

        assert variant() == "popularity"
        diffrec.fit(DATA, variant="itemknn").save(path)
        os.kill(process.pid, signal.SIGHUP)
        ends = time.monotonic() + 60
        while variant() != "itemknn":
            assert time.monotonic() < ends
            time.sleep(0.02)
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.communicate()[1] == ""
    finally:
        process.kill()
        process.communicate()


def test_the_command_says_what_it_cannot(tmp_path: Path, file: Path) -> None:
    assert "there is no model file" in fail(1, "serve", tmp_path / "none.diffrec")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot be used" in fail(1, "serve", file, "--port", taken.getsockname()[1])


def test_what_it_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("diffrec.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ImportError, match=r'needs FastAPI and uvicorn: pip install "diffrec\[serve\]"'):
        importlib.import_module("diffrec.serving")

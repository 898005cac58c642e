"""MovieLens from a server in the test: tiny archives in the layouts of the real ones."""

import hashlib
import http.server
import importlib
import io
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diffrec.datasets import movielens
from support.interactions import contents

# The package's attribute of that name is the function.
module: Any = importlib.import_module("diffrec.datasets.movielens")

RATINGS = [(1, 20, 5, 881250949), (1, 7, 3, 881250950), (2, 7, 4, 978300760), (12, 300, 1, 978300761)]
MOVIES = {7: ("Amélie, a Tale (2001)", "Comedy|Romance"), 20: ("Heat (1995)", "Crime"), 99: ("Unseen (1999)", "Crime")}
GENRES = ["unknown", "Comedy", "Crime", "Romance"]


def layout(name: str) -> dict[str, bytes]:
    """Write the files of a set as GroupLens does."""
    if name == "100k":
        lines = []
        for number, (title, genres) in MOVIES.items():
            flags = "|".join("1" if genre in genres.split("|") else "0" for genre in GENRES)
            lines.append(f"{number}|{title}|01-Jan-1995||http://example.org/|{flags}")
        return {
            "ml-100k/u.data": "".join("\t".join(map(str, row)) + "\n" for row in RATINGS).encode(),
            "ml-100k/u.item": "\n".join(lines).encode("latin-1"),
            "ml-100k/u.genre": "".join(f"{genre}|{place}\n" for place, genre in enumerate(GENRES)).encode() + b"\n",
            "ml-100k/u1.base": b"",
        }
    if name in ("1m", "10m"):
        folder = {"1m": "ml-1m", "10m": "ml-10M100K"}[name]
        encoding = {"1m": "latin-1", "10m": "utf-8"}[name]
        half = 0.5 if name == "10m" else 0
        return {
            f"{folder}/movies.dat": "".join(f"{n}::{t}::{g}\n" for n, (t, g) in MOVIES.items()).encode(encoding),
            f"{folder}/ratings.dat": "".join(f"{u}::{m}::{r - half}::{t}\n" for u, m, r, t in RATINGS).encode(),
        }
    movies = "".join(f'{n},"{t}",{g}\r\n' for n, (t, g) in MOVIES.items())
    ratings = "".join(f"{u},{m},{r - 0.5},{t}\r\n" for u, m, r, t in RATINGS)
    return {
        f"ml-{name}/movies.csv": f"movieId,title,genres\r\n{movies}".encode(),
        f"ml-{name}/ratings.csv": f"userId,movieId,rating,timestamp\r\n{ratings}".encode(),
    }


def archive(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
    return packed.getvalue()


class Server:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                content = outer.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/movielens/"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


@pytest.mark.parametrize("name", ["100k", "1m", "10m", "20m", "25m", "32m"])
def test_every_layout_is_downloaded_once_and_read(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    packed = archive(layout(name))
    server.files[f"/movielens/ml-{name}.zip"] = packed
    monkeypatch.setitem(module.CHECKSUMS, name, hashlib.md5(packed).hexdigest())
    for _ in range(2):
        data = movielens(name, cache=tmp_path, base_url=server.url)
        assert {(user, item, entry.time) for (user, item), entry in contents(data).items()} == {
            (user, movie, time) for user, movie, _, time in RATINGS
        }
        assert list(data.items) == [7, 20, 300]
        assert data.item_info["title"].tolist() == ["Amélie, a Tale (2001)", "Heat (1995)", ""]
        assert data.item_info["genres"].tolist() == ["Comedy|Romance", "Crime", ""]
    assert server.asked == [f"/movielens/ml-{name}.zip"]
    assert [file.name for file in tmp_path.iterdir()] == [f"ml-{name}.zip"]


def test_another_archive_than_the_published_one_is_refused(server: Server, tmp_path: Path) -> None:
    server.files["/movielens/ml-1m.zip"] = archive(layout("1m"))
    with pytest.raises(ValueError, match=r"ml-1m\.zip is not the archive that GroupLens publishes.*c4d9eecf"):
        movielens("1m", cache=tmp_path, base_url=server.url)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_says_what_else_to_do(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"could not download http://127.*404.*path="):
        movielens("1m", cache=tmp_path, base_url=server.url)
    with pytest.raises(OSError, match="could not download http://127"):
        movielens("1m", cache=tmp_path, base_url="http://127.0.0.1:9/")
    assert list(tmp_path.iterdir()) == []


def test_without_pooch_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'pip install "diffrec\[datasets\]"'):
        movielens("1m", cache=tmp_path)


@pytest.mark.parametrize("name", ["100k", "1m", "20m"])
@pytest.mark.parametrize("packed", [True, False])
def test_local_copies_are_read(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / "copy"
    if packed:
        path.write_bytes(archive(layout(name)))
    else:
        for file, content in layout(name).items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_bytes(content)
    data = movielens(path=path)
    assert data.shape == (3, 3)
    liked = movielens(path=path, min_rating=3.5)
    assert set(contents(liked)) == {(1, 20), (2, 7)}
    assert liked.item_info["title"].tolist() == ["Amélie, a Tale (2001)", "Heat (1995)"]


def test_bad_copies_and_names_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"name must be one of '100k', .*got '1mm'; did you mean '1m'"):
        movielens("1mm")
    with pytest.raises(FileNotFoundError, match=r"gone\.zip does not exist"):
        movielens(path=tmp_path / "gone.zip")
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(ValueError, match=r"text\.zip is neither a folder nor a zip archive"):
        movielens(path=tmp_path / "text.zip")
    with pytest.raises(ValueError, match=r"is no MovieLens set: it holds none of u\.data, ratings\.dat, ratings\.csv"):
        movielens(path=tmp_path)
    for content in (b"1::2::3\n", b"1::2::3::4\n1::2\n", b"a::b::c::d\n"):
        (tmp_path / "ratings.dat").write_bytes(content)
        with pytest.raises(ValueError, match=r"ratings\.dat is not as GroupLens writes it"):
            movielens(path=tmp_path)
    with pytest.raises(ValueError, match="min_rating must be at least 0 and at most 5, got"):
        movielens(path=tmp_path, min_rating=6)

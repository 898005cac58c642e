"""The MovieLens data sets of GroupLens (Harper and Konstan, 2015, doi:10.1145/2827872)."""

import csv
import io
import zipfile
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import needed, one_of, real
from diffrec.data import Interactions

#: MD5 of each archive, as GroupLens publishes it beside the file.
CHECKSUMS = {
    "100k": "0e33842e24a9c977be4e0107933c0723",
    "1m": "c4d9eecfca2ab87c1945afe126590906",
    "10m": "ce571fd55effeba0271552578f2648bd",
    "20m": "cd245b17a1ae2cc31bb14903e1204af3",
    "25m": "6b51fb2759a8657d3bfcbfc42b592ada",
    "32m": "d472be332d4daa821edc399621853b57",
}

_HOME = "https://files.grouplens.org/datasets/movielens/"

#: In each of the layouts: the ratings (user, movie, rating, seconds since the epoch), then the movies.
_LAYOUTS = (("u.data", "u.item"), ("ratings.dat", "movies.dat"), ("ratings.csv", "movies.csv"))


def movielens(
    name: str = "100k",
    *,
    path: str | PathLike[str] | None = None,
    cache: str | PathLike[str] | None = None,
    base_url: str = _HOME,
    min_rating: float = 0,
) -> Interactions:
    """Load a MovieLens data set: who rated which movie and when.

    Parameters
    ----------
    name
        ``"100k"``, ``"1m"``, ``"10m"``, ``"20m"``, ``"25m"`` or ``"32m"``.
    path
        A local copy, zip or folder, of any of them, to read instead; ``name`` is not looked at then, and no checksum.
    cache
        Folder the archive is kept in, by default the user's cache folder. Downloading needs pooch.
    base_url
        Where the archives lie.
    min_rating
        Leave out lower ratings; every rating counts as one interaction of value 1 otherwise.

    Returns
    -------
    Interactions
        With the MovieLens numbers as ids, timestamps in seconds since the epoch, and ``item_info`` with ``"title"`` and
        ``"genres"`` (``"Action|Crime"``).

    Raises
    ------
    ImportError
        If pooch is not installed.
    OSError
        If there is no such file, or the download fails.
    ValueError
        If the name is unknown, the archive's checksum is not the published one, or its content is no MovieLens set.

    Examples
    --------
    >>> movies = movielens("1m").split(by="time")  # doctest: +SKIP
    """
    if path is None:
        one_of(CHECKSUMS)("name", name)
    lowest = real(0, 5)("min_rating", min_rating)
    read = _opened(Path(path) if path is not None else _download(name, cache, base_url))
    found = ((content, *files) for files in _LAYOUTS if (content := read(files[0])) is not None)
    ratings, ratings_file, movies_file = next(found, (None, "", ""))
    if ratings is None:
        listed = ", ".join(ratings_file for ratings_file, _ in _LAYOUTS)
        raise ValueError(f"{path or name} is no MovieLens set: it holds none of {listed}")
    user, movie, rating, time = _numbers(ratings, ratings_file)
    if lowest > 0:
        kept = rating >= lowest
        user, movie, time = user[kept], movie[kept], time[kept]
    data = Interactions.from_arrays(user.astype(np.int64), movie.astype(np.int64), time)
    facts = _movies(read(movies_file) or b"", movies_file, read("u.genre") or b"")
    rows = [facts.get(number, ("", "")) for number in data.items.ids.tolist()]
    data.item_info = {"title": np.array([title for title, _ in rows]), "genres": np.array([kinds for _, kinds in rows])}
    return data


def _download(name: str, cache: str | PathLike[str] | None, base_url: str) -> Path:
    what = "downloading MovieLens, unless path= names a local copy, needs pooch"
    pooch = needed("pooch", what, "diffrec[datasets]")
    file = f"ml-{name}.zip"
    url = f"{base_url.rstrip('/')}/{file}"
    folder = pooch.os_cache("diffrec") if cache is None else Path(cache)
    try:
        # pooch downloads to a temporary file and renames it only if the checksum is right.
        return Path(pooch.retrieve(url, known_hash=f"md5:{CHECKSUMS[name]}", fname=file, path=folder))
    except OSError as error:
        raise OSError(f"could not download {url} ({error}); a local copy can be given with path=") from error
    except ValueError as error:
        raise ValueError(f"{url} is not the archive that GroupLens publishes: {error}") from error


def _opened(path: Path) -> Callable[[str], bytes | None]:
    """Return a function that reads a file of the set by its bare name, None if there is none."""
    if path.is_dir():

        def from_folder(name: str) -> bytes | None:
            found = next((file for file in sorted(path.rglob(name)) if file.is_file()), None)
            return None if found is None else found.read_bytes()

        return from_folder
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is neither a folder nor a zip archive")

    def from_archive(name: str) -> bytes | None:
        with zipfile.ZipFile(path) as archive:
            found = next((member for member in archive.namelist() if member.split("/")[-1] == name), None)
            return None if found is None else archive.read(found)

    return from_archive


def _numbers(content: bytes, file: str) -> tuple[NDArray[np.float64], ...]:
    """Read user, movie, rating and time of each line."""
    delimiter = "\t" if file == "u.data" else ","
    lines = io.BytesIO(content.replace(b"::", b",") if file == "ratings.dat" else content)
    try:
        # float64 holds ids and times exactly: both stay far below 2**53.
        table = np.loadtxt(lines, delimiter=delimiter, skiprows=int(file.endswith(".csv")), ndmin=2)
        if table.shape[1] != 4:
            raise ValueError(f"{table.shape[1]} columns instead of user, movie, rating and time")
    except ValueError as error:
        raise ValueError(f"{file} is not as GroupLens writes it: {error}") from None
    return tuple(table.T)


def _movies(content: bytes, file: str, genre_list: bytes) -> dict[int, tuple[str, str]]:
    """Read title and genres of each movie."""
    text = _decoded(content)
    if file == "movies.csv":
        rows = [row[:3] for row in csv.reader(io.StringIO(text)) if len(row) >= 3][1:]
    elif file == "movies.dat":
        rows = [line.split("::") for line in text.splitlines() if line.count("::") == 2]
    else:
        # One 0 or 1 for each genre at the end of the line, in the order of u.genre.
        genres = [line.split("|")[0] for line in _decoded(genre_list).splitlines() if "|" in line]
        rows = []
        for line in text.splitlines():
            cells = line.split("|")
            flags = cells[len(cells) - len(genres) :]
            named = "|".join(genre for genre, flag in zip(genres, flags, strict=False) if flag == "1")
            rows.append([cells[0], cells[1] if len(cells) > 1 else "", named])
    return {int(number): (title, genres) for number, title, genres in rows if number.isdigit()}


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:  # the older sets
        return content.decode("latin-1")

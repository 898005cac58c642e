"""A generated world of titles and people, whose tastes are known and may drift."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import real, whole
from diffrec.data import Ids, Interactions
from diffrec.data._csr import assemble
from diffrec.datasets import _names

#: 2022-01-01 00:00 UTC, and two years, in seconds.
_START, _SPAN = 1_640_995_200, 2 * 365 * 86_400

_SUBGENRES = 4  # of each genre
_SERIES_LENGTH = 5  # titles of a series, on average
_TASTES = 4  # subgenres a user has in turn
_LOVED = 2  # series a user loves in each of them
_OVERLAP = 0.7  # how far, in turns, a taste reaches into the next one's time
_ROUNDS = 20
_LACKING = 0.001  # share of all interactions that it is not worth drawing further for
#: Where an interaction comes from: a loved series, the subgenre, the genre, anything.
_SOURCES = (0.45, 0.3, 0.1, 0.15)


class _World(NamedTuple):
    """Titles in an order that keeps genres, subgenres and series together, so that each is a range of places."""

    popularity: NDArray[np.float64]  # cumulated over the places, with a leading 0
    series: NDArray[np.int64]  # first places of the series, and the number of titles
    subgenres: NDArray[np.int64]  # first series of the subgenres, and the number of series
    genres: NDArray[np.int64]  # first subgenres of the genres, and the number of subgenres


def synthetic(
    users: int = 2000,
    items: int = 1000,
    interactions_per_user: float | None = None,
    *,
    genres: Sequence[str] = _names.GENRES,
    drift: bool | float = True,
    seed: int = 0,
) -> Interactions:
    """Generate interactions of people with titles, for examples, tests and first trials.

    Titles belong to series, series to subgenres, subgenres to genres; popularity has a long tail. A user has
    four tastes, each a subgenre with two loved series in it; which taste follows which is not arbitrary, so
    it can be learnt. Most interactions come from the tastes, some from whatever is popular.

    Parameters
    ----------
    users, items
        How many there are.
    interactions_per_user
        Mean length of a history, by default 50 or a quarter of the items where these are few; lengths vary, and nobody
        takes up a title twice.
    genres
        Their names.
    drift
        How far tastes move with time, 0 (``False``) to 1 (``True``): at 0 all of a user's tastes are present all along
        and the order of a history says nothing, at 1 they follow each other.
    seed
        Of the random draws; the same arguments give the same world.

    Returns
    -------
    Interactions
        User names and titles as ids, timestamps in seconds since the epoch over two years, and ``item_info`` with
        ``"title"`` and ``"genre"``.

    Raises
    ------
    TypeError
        If ``genres`` are no names or a number is none.
    ValueError
        If a size is not positive, a history would hold more than half of the items, or ``drift`` lies outside [0, 1].

    Examples
    --------
    >>> from diffrec.datasets import synthetic
    >>> world = synthetic(users=100, items=60, interactions_per_user=8)
    >>> world.shape
    (100, 60)
    """
    users, items = whole(1)("users", users), whole(2)("items", items)
    if interactions_per_user is None:
        interactions_per_user = max(1, min(50, items / 4))
    mean = real(1, max(1, items / 2))("interactions_per_user", interactions_per_user)
    move = real(0, 1)("drift", float(drift) if isinstance(drift, bool) else drift)
    if isinstance(genres, str) or not all(isinstance(genre, str) for genre in genres):
        raise TypeError(f"genres must be a sequence of names, not {genres!r}")
    genres = list(dict.fromkeys(genres))
    if not genres:
        raise ValueError("genres must name at least one")
    rng = np.random.default_rng(seed)
    world = _build(items, len(genres), rng)
    titles, title_genres = _titles(world, genres, rng)
    lengths = np.clip(rng.gamma(4.0, mean / 4.0, users).round(), 3, items // 2).astype(np.int64)
    owner, place, moment = _histories(world, lengths, move, rng)

    # Rows of the catalogue in alphabetical order: the places would give the genres away.
    alphabetical = np.argsort(titles, kind="stable")
    column = np.empty(items, dtype=np.int64)
    column[alphabetical] = np.arange(items)
    begin = rng.random(users) * 0.5
    length = (0.2 + 0.8 * rng.random(users)) * (1 - begin)
    times = np.floor(_START + _SPAN * (begin[owner] + length[owner] * moment))
    catalogue = Ids(titles[alphabetical], "item")
    people = Ids(_people(users, rng), "user")
    info = {"title": catalogue.ids, "genre": title_genres[alphabetical]}
    ones = np.ones(len(owner), dtype=np.float32)
    return Interactions.of_parts(assemble(owner, column[place], ones, times, (users, items)), people, catalogue, info)


def _build(items: int, n_genres: int, rng: np.random.Generator) -> _World:
    n_series = max(1, round(items / _SERIES_LENGTH))
    n_subgenres = max(1, min(n_series, n_genres * _SUBGENRES))
    series = np.concatenate([[0], np.sort(rng.choice(np.arange(1, items), n_series - 1, replace=False)), [items]])
    subgenres = np.linspace(0, n_series, n_subgenres + 1).round().astype(np.int64)
    # Log-normal twice, for series and for titles in them: a few are hits, most sell little.
    fame = np.repeat(rng.normal(0, 0.8, n_series), np.diff(series)) + rng.normal(0, 0.8, items)
    genres = np.linspace(0, n_subgenres, n_genres + 1).round().astype(np.int64)
    return _World(np.concatenate([[0], np.cumsum(np.exp(fame))]), series, subgenres, genres)


def _histories(
    world: _World, lengths: NDArray[np.int64], drift: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Draw owners, places and moments (0 to 1 in the user's time) of interactions, no place twice for a user."""
    n_users, n_items = len(lengths), len(world.popularity) - 1
    tastes = _tastes(world, n_users, rng)
    first, end = world.subgenres[tastes], world.subgenres[tastes + 1]
    loved = first[..., None] + (rng.random((n_users, _TASTES, _LOVED)) * (end - first)[..., None]).astype(np.int64)
    liking = rng.dirichlet(np.full(_TASTES, 4.0), n_users)

    cells = np.empty(0, dtype=np.int64)  # sorted
    moments = np.empty(0, dtype=np.float64)
    missing = lengths
    # What was drawn before is drawn in vain, and a loved series is soon used up: a few rounds are needed.
    for _ in range(_ROUNDS):
        owner = np.repeat(np.arange(n_users), missing + missing // 2 + 2 * (missing > 0))
        moment = rng.random(len(owner))
        taste = _active(liking, owner, moment, drift, rng)
        drawn = owner * n_items + _draw(world, tastes[owner, taste], loved[owner, taste], rng)
        _, fresh = np.unique(drawn, return_index=True)
        fresh.sort()  # back in the order of drawing, which is that of the owners
        if len(cells):
            known = cells[np.minimum(np.searchsorted(cells, drawn[fresh]), len(cells) - 1)]
            fresh = fresh[known != drawn[fresh]]
        counts = np.bincount(owner[fresh], minlength=n_users)
        nth = np.arange(len(fresh)) - np.repeat(np.cumsum(counts) - counts, counts)
        fresh = fresh[nth < missing[owner[fresh]]]
        cells = np.concatenate([cells, drawn[fresh]])
        order = np.argsort(cells, kind="stable")
        cells, moments = cells[order], np.concatenate([moments, moment[fresh]])[order]
        missing = missing - np.minimum(counts, missing)
        if missing.sum() <= _LACKING * lengths.sum():
            break
    return cells // n_items, cells % n_items, moments


def _tastes(world: _World, n_users: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw each user's tastes in turn, shape (users, tastes): from each subgenre three others are likely to follow."""
    n = len(world.subgenres) - 1
    followers = rng.integers(0, n, (n, 3))
    appeal = rng.dirichlet(np.full(n, 2.0))
    tastes = np.empty((n_users, _TASTES), dtype=np.int64)
    tastes[:, 0] = rng.choice(n, n_users, p=appeal)
    for turn in range(1, _TASTES):
        follow = followers[tastes[:, turn - 1], rng.integers(0, 3, n_users)]
        tastes[:, turn] = np.where(rng.random(n_users) < 0.8, follow, rng.choice(n, n_users, p=appeal))
    return tastes


def _active(
    liking: NDArray[np.float64],
    owner: NDArray[np.int64],
    moment: NDArray[np.float64],
    drift: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw which taste is at work at each moment: the one whose turn it is, or with 1 - drift any that is liked."""
    turn = np.floor(moment * _TASTES + rng.normal(0, _OVERLAP, len(moment))).astype(np.int64)
    chance = np.cumsum(liking, axis=1)[:, :-1]
    any_liked = (rng.random(len(moment))[:, None] > chance[owner]).sum(axis=1)
    active = np.where(rng.random(len(moment)) < drift, np.clip(turn, 0, _TASTES - 1), any_liked)
    return active.astype(np.int64)


def _draw(
    world: _World, taste: NDArray[np.int64], loved: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw a place for each taste and its loved series, by popularity within where it comes from."""
    n = len(taste)
    source = np.searchsorted(np.cumsum(_SOURCES[:-1]), rng.random(n), side="right")
    series = loved[np.arange(n), rng.integers(0, _LOVED, n)]
    genre = np.searchsorted(world.genres, taste, side="right") - 1
    of_genre = world.subgenres[world.genres]
    nothing, everything = np.zeros_like(taste), np.full_like(taste, len(world.series) - 1)
    low = np.choose(source, [series, world.subgenres[taste], of_genre[genre], nothing])
    high = np.choose(source, [series + 1, world.subgenres[taste + 1], of_genre[genre + 1], everything])
    begin, end = world.popularity[world.series[low]], world.popularity[world.series[high]]
    place = np.searchsorted(world.popularity, begin + rng.random(n) * (end - begin), side="right") - 1
    inside: NDArray[np.int64] = np.clip(place, world.series[low], world.series[high] - 1)
    return inside


def _titles(
    world: _World, genres: Sequence[str], rng: np.random.Generator
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Name the titles after their series, "The Silent Harbour 2 (Mystery)", and say their genres."""
    titles: list[str] = []
    held: list[str] = []
    bounds = world.subgenres[world.genres]
    for genre, low, high in zip(genres, bounds[:-1], bounds[1:], strict=True):
        nouns = _names.NOUNS.get(genre, _names.OTHER_NOUNS)
        pairs = len(_names.ADJECTIVES) * len(nouns)
        # Of places, since strings in their stead would be most of the time that a small world takes.
        orders = [rng.permutation(pairs) for _ in _names.PLACES]
        for nth, length in enumerate(np.diff(world.series[low : high + 1])):
            again, at = divmod(nth, len(_names.PLACES) * pairs)
            place, at = divmod(at, pairs)
            adjective, noun = divmod(int(orders[place][at]), len(nouns))
            name = f"The {_names.ADJECTIVES[adjective]} {nouns[noun]}{_names.PLACES[place]}"
            name += f", Volume {again + 1}" if again else ""
            titles += [f"{name}{f' {part}' if part > 1 else ''} ({genre})" for part in range(1, length + 1)]
            held += [genre] * int(length)
    return np.array(titles), np.array(held)


def _people(n_users: int, rng: np.random.Generator) -> NDArray[np.str_]:
    names = [f"{first} {last}" for first in _names.FIRST_NAMES for last in _names.LAST_NAMES]
    order = rng.permutation(len(names))
    return np.array(
        [names[order[n % len(names)]] + (f" {n // len(names) + 1}" if n >= len(names) else "") for n in range(n_users)]
    )

"""The kernels of diffrec._core written plainly: slow, short, and the oracle of their tests."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def dense_rows(indptr, indices, data, rows, columns) -> NDArray[np.float32]:
    out = np.zeros((len(rows), columns), np.float32)
    for i, row in enumerate(rows):
        for entry in range(indptr[row], indptr[row + 1]):
            out[i, indices[entry]] += data[entry]
    return out


def time_weights(indptr, timestamps, kind, w_min, w_max, half_life, clock=False) -> NDArray[np.float64]:
    out = np.empty(len(timestamps))
    for start, end in itertools.pairwise(indptr):
        times = timestamps[start:end]
        n = len(times)
        if n == 0:
            continue
        if clock:
            age, oldest = times.max() - times, times.max() - times.min()
        else:
            moments = np.unique(times)
            age, oldest = len(moments) - 1 - np.searchsorted(moments, times), len(moments) - 1
        if kind == "exponential":
            share = 2.0 ** (-age / half_life)
        elif kind == "power":
            share = 1 / (1 + age / half_life)
        elif n == 1:
            share = np.zeros(1)
        else:
            share = 1 - age / oldest if oldest > 0 else np.ones(n)
        out[start:end] = w_min + (w_max - w_min) * share
    return out


def top_k(scores, seen: Sequence[set[int]], denied, k) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Lists over all items at once: score descending, then item ascending."""
    items = np.full((len(scores), k), -1, np.int32)
    values = np.full((len(scores), k), -np.inf, np.float32)
    for user, row in enumerate(scores):
        allowed = [
            item
            for item, score in enumerate(row)
            if item not in seen[user] and not (denied is not None and denied[item]) and score != -np.inf
        ]
        best = sorted(allowed, key=lambda item: (-row[item], item))[:k]
        items[user, : len(best)] = best
        values[user, : len(best)] = row[best]
    return items, values


def ranking_metrics(ranked, relevant: Sequence[set[int]], k: Sequence[int]) -> NDArray[np.float64]:
    out = np.full((6, len(k), len(ranked)), np.nan)
    for user, (row, wanted) in enumerate(zip(ranked, relevant, strict=True)):
        if not wanted:
            continue
        hit = np.array([item >= 0 and item in wanted for item in row], bool)
        gains = 1 / np.log2(np.arange(len(row)) + 2)
        for which, cut in enumerate(k):
            hits, reachable = hit[:cut].sum(), min(cut, len(wanted))
            first = np.flatnonzero(hit[:cut])
            out[:, which, user] = (
                hits / cut,
                hits / len(wanted),
                hits / reachable,
                gains[:cut][hit[:cut]].sum() / gains[:reachable].sum(),
                1 / (first[0] + 1) if len(first) else 0,
                hits > 0,
            )
    return out


def coverage(ranked, n_items, k: Sequence[int]) -> NDArray[np.float64]:
    return np.array([len(set(ranked[:, :cut].ravel().tolist()) - {-1}) / n_items for cut in k])


def prefix_rows(
    indptr, items, times, n_items, rows, cuts, scales, now=None, intervals=None
) -> list[list[tuple[int, float]]]:
    """Column and weight of each entry, a list per row; scale by scale, the newest first, repeats summed."""
    out = []
    for row, cut in zip(rows, cuts, strict=True):
        history = items[indptr[row] : indptr[row] + cut].tolist()
        moments = times[indptr[row] : indptr[row] + cut].tolist()
        entries: dict[int, float] = {}
        for number, (kind, length) in enumerate(scales):
            if kind in ("had", "often", "ago", "due", "usual"):
                for item in dict.fromkeys(history[::-1]):
                    weight = repeated(kind, history, moments, item, now, intervals)
                    if weight >= 1e-4:
                        entries[number * n_items + item] = weight
                continue
            for item, moment in zip(history[::-1], moments[::-1], strict=True):
                age = len({newer for newer in moments if newer > moment})
                passed = age if kind == "interactions" else (moments[-1] if now is None else now) - moment
                weight = 1 / np.sqrt(cut) if kind == "even" else np.exp(-passed / length)
                if weight >= 1e-4:
                    column = number * n_items + item
                    entries[column] = entries.get(column, 0) + weight
        out.append(list(entries.items()))
    return out


def repeated(kind, history, moments, item, now, intervals) -> float:
    """What a view of how an item was taken before says of it."""
    taken = sorted({moment for own, moment in zip(history, moments, strict=True) if own == item})
    if kind == "had":
        return 1.0
    if kind == "often":
        return float(np.log(1 + len(taken)))
    if kind == "ago":
        return 1 / (1 + len({moment for moment in moments if moment > taken[-1]}))
    if kind == "due" and len(taken) == 1:
        return 0.0
    since = (moments[-1] if now is None else now) - taken[-1]
    due = since / (np.diff(taken).mean() if kind == "due" else intervals[item])
    return float(due / (1 + due))


def cuts(times, most) -> list[list[int]]:
    """What a history may be cut into: evenly from every beginning there is."""
    between = [place for place in range(1, len(times)) if times[place - 1] < times[place]]
    if not between:
        return [[len(times)]]
    n = min(most, len(between))
    beginnings = range(len(between))
    return [[between[(place * len(between) + begin) // n] for place in range(n)] for begin in beginnings]


def next_items(indptr, items, times, row, cut, horizon, fresh) -> list[int]:
    """Distinct items of whole baskets after the cut, until there are ``horizon`` of them."""
    own, moments = items[indptr[row] : indptr[row + 1]].tolist(), times[indptr[row] : indptr[row + 1]].tolist()
    out: list[int] = []
    for moment in sorted(set(moments[cut:])):
        if len(out) >= horizon:
            break
        for item, when in zip(own, moments, strict=True):
            if when == moment and item not in out and not (fresh and item in own[:cut]):
                out.append(item)
    return out

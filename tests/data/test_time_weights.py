import itertools
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Interactions, time_weights
from support import twins
from support.interactions import Row, any_rows


@given(
    any_rows,
    st.sampled_from(["linear", "exponential", "power"]),
    st.tuples(st.floats(0, 1), st.floats(0, 2)).map(sorted),
    st.floats(0.1, 1e3),
    st.booleans(),
)
def test_weights_are_those_of_the_formula(
    rows: list[Row], kind: Any, bounds: list[float], half_life: float, clock: bool
) -> None:
    data = Interactions.from_arrays(*(list(column) for column in zip(*rows, strict=True)))
    low, high = bounds
    length = timedelta(seconds=half_life) if clock else half_life
    weights = time_weights(data, kind, w_min=low, w_max=high, half_life=length)
    np.testing.assert_array_equal(weights.indices, data.matrix.indices)
    np.testing.assert_array_equal(weights.indptr, data.matrix.indptr)
    assert weights.dtype == np.float32
    held = data.events
    assert held.times is not None
    seconds = timedelta(seconds=half_life).total_seconds() if clock else half_life
    cells = data.cells_of_events()
    per_event = twins.time_weights(held.indptr, held.times, kind, low, high, seconds, clock)
    for start, end in itertools.pairwise(held.indptr):
        # A pair that repeats is as old as its newest event.
        newest = dict(zip(cells[start:end].tolist(), per_event[start:end].tolist(), strict=True))
        np.testing.assert_allclose(weights.data[list(newest)], list(newest.values()), rtol=1e-5, atol=1e-6)


def heard(**arguments: Any) -> Interactions:
    return Interactions.from_arrays([0, 0, 0], [0, 1, 2], **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": "exponental"}, ValueError, "kind must be one of .*did you mean 'exponential'"),
        ({"kind": "power"}, ValueError, "kind='power' needs a half_life"),
        ({"kind": "power", "half_life": 0}, ValueError, "half_life must be above 0"),
        ({"kind": "power", "half_life": timedelta(0)}, ValueError, "half_life must be above 0"),
        ({"kind": "power", "half_life": -1}, ValueError, "half_life must be above 0, got"),
        ({"kind": "power", "half_life": float("nan")}, ValueError, "half_life must be above 0, got"),
        ({"kind": "power", "half_life": "1 day"}, TypeError, "half_life must be a number of baskets, or a time"),
        ({"w_min": 2}, ValueError, "w_min must be at least 0 and at most 1, got 2"),
        ({"w_min": -1}, ValueError, "w_min must be at least 0"),
        ({"w_max": float("inf")}, ValueError, "w_max must be at least 0, got"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        time_weights(heard(timestamp=[1, 2, 3]), **arguments)


def test_times_are_needed() -> None:
    with pytest.raises(ValueError, match=r"a weight by age \(kind='linear'\) needs timestamps"):
        time_weights(heard())


def test_half_a_day_ago_counts_half() -> None:
    data = heard(timestamp=["2024-05-01T00:00", "2024-05-01T12:00", "2024-05-02T00:00"])
    weights = time_weights(data, "exponential", w_min=0, half_life=timedelta(hours=12))
    assert weights.data.tolist() == [0.25, 0.5, 1.0]

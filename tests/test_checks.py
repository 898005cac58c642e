"""Checks name the argument and the value, and let through what is possible."""

import datetime
import math
from typing import Any

import numpy as np
import pytest

from diffrec import checks
from diffrec.checks import Check, nearest


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiem", "; did you mean 'time'?"),
        ("leave_last", "; did you mean 'leave-last'?"),
        ("Random", "; did you mean 'random'?"),
        ("xyz", ""),
        (3, ""),
        (None, ""),
    ],
)
def test_nearest_names_the_likely_option_or_nothing(name: object, expected: str) -> None:
    assert nearest(name, ["time", "random", "leave-last"]) == expected


@pytest.mark.parametrize(
    ("check", "value", "kept"),
    [
        (checks.whole(1), np.int64(5), 5),
        (checks.real(0, 1), 1, 1.0),
        (checks.real(), -1e300, -1e300),
        (checks.one_of([None, "time"]), None, None),
        (checks.cuts, 5, [5]),
        (checks.cuts, np.int64(5), [5]),
        (checks.cuts, (10, 20), [10, 20]),
        (checks.widths(), 7, (7,)),
        (checks.age, 2, 2.0),
        (checks.age, np.timedelta64(3, "D"), datetime.timedelta(days=3)),
        (checks.age, np.timedelta64(1500, "ms"), datetime.timedelta(seconds=1.5)),
        (checks.age, np.timedelta64(2, "12h"), datetime.timedelta(days=1)),
        (checks.age, np.timedelta64(2 * 10**9, "ns"), datetime.timedelta(seconds=2)),
        (checks.age, "3d", datetime.timedelta(days=3)),
        (checks.span, "12h", datetime.timedelta(hours=12)),
        (checks.span, np.timedelta64(1, "W"), datetime.timedelta(weeks=1)),
        (checks.duration, np.timedelta64(2, "m"), 120.0),
        (checks.duration, datetime.timedelta(minutes=2), 120.0),
        (checks.duration, "1.5 d", 129600.0),
        (checks.optional(checks.flag), None, None),
    ],
)
def test_what_is_possible_is_kept(check: Check, value: Any, kept: Any) -> None:
    assert check("x", value) == kept


@pytest.mark.parametrize(
    ("check", "value", "error", "words"),
    [
        (
            checks.one_of(["time", "random"]),
            "tme",
            ValueError,
            "one of 'time', 'random', got 'tme'; did you mean",
        ),
        (checks.one_of(["time"]), [1], ValueError, "x must be one of 'time', got .1."),
        (checks.real(0, 1, open_high=True), 1.0, ValueError, "x must be at least 0 and below 1, got 1.0"),
        (checks.real(), np.timedelta64(3, "D"), TypeError, "x must be a number, got .*timedelta64"),
        (checks.real(), np.timedelta64(3, "ns"), TypeError, "x must be a number, got .*timedelta64"),
        (checks.real(), np.zeros(2), TypeError, "x must be a number, got array"),
        (checks.age, "soon", TypeError, "x must be a number of baskets, or a time: .* '30d'; got 'soon'"),
        (checks.age, "9" * 30 + "d", TypeError, "or a text such as '12h' or '30d'; got '999"),
        (checks.age, "0d", ValueError, "x must be above 0, got"),
        (checks.age, np.timedelta64("NaT"), TypeError, "x must be a number of baskets, or a time: .*NaT"),
        (checks.age, np.timedelta64(3, "M"), TypeError, "x must be a number of baskets, or a time: .*3.*M"),
        (checks.age, np.timedelta64(3), TypeError, "x must be a number of baskets, or a time"),
        (checks.age, np.timedelta64(10**12, "W"), TypeError, "x must be a number of baskets, or a time: .*10{12}"),
        (checks.span, np.timedelta64(2**62, "s"), TypeError, "x must be a timedelta"),
        (checks.duration, np.timedelta64(10**12, "W"), ValueError, "x must be a time such as"),
        (checks.duration, np.timedelta64(3, "M"), ValueError, "x must be a time such as"),
        (checks.span, "soon", TypeError, "x must be a timedelta, or a text such as '12h' or '30d', got 'soon'"),
        (checks.real(0, 1, open_high=True), math.nan, ValueError, "x must be at least 0 and below 1, got nan"),
        (checks.real(), math.inf, ValueError, "x must be finite, got inf"),
        (checks.real(0, 1), "0.5", TypeError, "x must be a number, got '0.5'"),
        (checks.real(0, 1), True, TypeError, "x must be a number, got True"),
        (checks.real(0, 1), [1], TypeError, "x must be a number"),
        (checks.whole(1, 3), 4, ValueError, "x must be from 1 to 3, got 4"),
        (checks.whole(1), False, TypeError, "x must be a whole number, got False"),
        (checks.cuts, [], ValueError, "x must name at least one cut"),
        (checks.cuts, "10", TypeError, "x must be a whole number, got '10'"),
        (checks.duration, "5 parsecs", ValueError, "x must be a time such as '90s'"),
        (checks.functions, 3, TypeError, "x must be a sequence of functions, got 3"),
    ],
)
def test_what_is_not_is_named(check: Check, value: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        check("x", value)


def test_a_value_of_any_length_or_depth_is_named_in_short() -> None:
    # Python writes no number of so many digits.
    with pytest.raises(ValueError, match="x must be at most 2147483647, got a whole number of 16610 bits$"):
        checks.whole(1)("x", 10**5000)
    with pytest.raises(ValueError, match="x must be finite, got a whole number of 16610 bits$"):
        checks.real()("x", -(10**5000))
    with pytest.raises(TypeError, match=r"x must be True or False, got 'x{199}\.\.\.$"):
        checks.flag("x", "x" * 10**6)
    within: list[Any] = []
    for _ in range(10**5):
        within = [within]
    with pytest.raises(TypeError, match="x must be True or False, got a list$"):
        checks.flag("x", within)

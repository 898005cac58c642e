import math

import pytest

from diffrec.data._checks import finite, nearest, one_of


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


def test_one_of_lists_the_options() -> None:
    one_of("by", "time", ["time", "random"])
    with pytest.raises(ValueError, match=r"by must be one of 'time', 'random', not 'tme'; did you mean 'time'\?"):
        one_of("by", "tme", ["time", "random"])


@pytest.mark.parametrize("value", [-0.1, 1.0, math.nan, math.inf])
def test_finite_names_argument_range_and_value(value: float) -> None:
    with pytest.raises(ValueError, match=rf"share must lie in \[0, 1\), not {value}"):
        finite("share", value, 0, 1, open_high=True)


@pytest.mark.parametrize("value", ["0.5", True, None, [1]])
def test_finite_takes_numbers_only(value: object) -> None:
    with pytest.raises(TypeError, match="share must be a number"):
        finite("share", value, 0, 1)

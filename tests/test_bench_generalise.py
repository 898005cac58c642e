"""The table of regret names the best candidate in full, and compares kinds of them over sets."""

from datetime import timedelta

from benches.generalise import Measured, elsewhere, label
from diffrec.recommenders.auto.candidates import Candidate

DAY = 86_400.0


def of_late(days: float) -> Candidate:
    return Candidate("popularity", {"half_life": timedelta(days=days)})


def test_popularities_of_late_are_kinds_of_their_own() -> None:
    tested = [(Candidate("popularity", {}), 0.1), (of_late(25.0), 0.4), (of_late(4.0), 0.3)]
    kinds = Measured("popularity", 0.4, 1.0, tested, 100 * DAY).kinds
    assert kinds == {"popularity()": 0.1, "popularity(half_life='1/4')": 0.4, "popularity(half_life='1/25')": 0.3}
    # A part of the time is the same kind where the time is another; a number of baskets stays what it is.
    assert label(of_late(1.0), 4 * DAY) in kinds
    assert label(Candidate("ease", {"half_life": 4.0}), 4 * DAY) == "ease(half_life=4.0)"


def test_of_several_of_a_kind_the_best_stands_for_it() -> None:
    tested = [(Candidate("diffrec", {"dims": (8,), "epochs": epochs}), value) for epochs, value in ((2, 0.2), (9, 0.1))]
    assert Measured("diffrec", 0.2, 1.0, tested, 0.0).kinds == {"diffrec()": 0.2}


def test_elsewhere_is_what_did_best_on_the_other_sets() -> None:
    sets = {"one": {"a": 0.9, "b": 0.1}, "two": {"a": 0.1, "b": 0.2}, "three": {"a": 0.5, "b": 0.4}}
    assert [elsewhere(name, sets) for name in sets] == ["b", "a", "a"]

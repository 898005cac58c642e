"""Answers of a model to questions of several people, in plain values."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import shown
from diffrec.data import Ids
from diffrec.recommenders import Recommender, Top
from diffrec.recommenders.pasts import Past, histories_of
from diffrec.serving.questions import Explain, Id, Person, Recommend, Similar

Question = TypeVar("Question")
# An answer, or why there is none.
Answer = dict[str, Any] | Exception

# What the library raises where a question has no answer.
_REFUSALS = (ValueError, TypeError, OverflowError)


class UnknownError(ValueError):
    """A user or an item is asked about that the model does not know."""


def recommendations(model: Recommender, questions: Sequence[Recommend]) -> list[Answer]:
    """Answer many requests by few calls: one for all who ask alike, each with limits of their own.

    What is said to each is what ``model.recommend`` says of them alone.
    """
    answers: list[Any] = _each(lambda one: _Asked.of(model, one), questions)
    asked = {place: one for place, one in enumerate(answers) if isinstance(one, _Asked)}
    for group in _groups(asked):
        found = _together(lambda some: _lists(model, some), [asked[place] for place in group])
        for place, answer in zip(group, found, strict=True):
            answers[place] = answer
    return answers


def similar(model: Recommender, questions: Sequence[Similar]) -> list[Answer]:
    """Answer many requests for similar items, those for lists of one length by one call."""
    answers: list[Any] = [None] * len(questions)
    for group in _parted((type(one.item), one.k) for one in questions):
        found = _together(lambda some: _alike(model, some), [questions[place] for place in group])
        for place, answer in zip(group, found, strict=True):
            answers[place] = answer
    return answers


def explanations(model: Recommender, questions: Sequence[Explain]) -> list[Answer]:
    """Answer requests for reasons, one after the other: each is a question of its own to the model."""
    return _each(lambda one: _explained(model, one), questions)


class _Asked:
    """A request for recommendations, in a model's own terms.

    Attributes
    ----------
    question : Recommend
        As it came.
    past : Past or None
        The history, of somebody who is no user.
    allow, deny : list of item ids or None
        Those that the model knows.
    left_out : int
        How many items it does not know.
    """

    def __init__(self, question: Recommend, past: Past | None, allow: list[Id] | None, deny: list[Id] | None) -> None:
        self.question, self.past, self.allow, self.deny = question, past, allow, deny
        self.left_out = sum(
            len(given) - len(kept)
            for given, kept in (
                (question.history, None if past is None else past.rows),
                (question.allow, allow),
                (question.deny, deny),
            )
            if given is not None and kept is not None
        )

    @classmethod
    def of(cls, model: Recommender, one: Recommend) -> "_Asked":
        items = model.train_.items
        allow = None if one.allow is None else _known(items, "allow", one.allow, one.strict)
        if one.allow and not allow:
            raise ValueError(f"allow names no item that the model knows, got {shown(one.allow[:5])}")
        deny = None if one.deny is None else _known(items, "deny", one.deny, one.strict)
        return cls(one, _past(items, one), allow, deny)

    @property
    def alike(self) -> Hashable:
        """Key that requests must share to be answered by one call."""
        one = self.question
        kind = None if self.past is not None else type(one.user)
        steer = None if one.steer is None else tuple(sorted(one.steer.items()))
        return (kind, one.k, one.exclude_seen, one.unknown, one.now, steer, one.novelty, one.diversity)


def _groups(asked: dict[int, _Asked]) -> list[list[int]]:
    """Places of requests that one call can answer: limits are by user there, so nobody may stand in it twice."""
    turns: dict[Hashable, int] = {}
    groups: dict[Hashable, list[int]] = {}
    for place, one in asked.items():
        turn = 0
        if one.past is None:
            turn = turns[one.alike, one.question.user] = turns.get((one.alike, one.question.user), -1) + 1
        groups.setdefault((one.alike, turn), []).append(place)
    return list(groups.values())


def _lists(model: Recommender, some: Sequence[_Asked]) -> list[Answer]:
    one = some[0].question
    if some[0].past is None and one.unknown == "error":
        users = [asked.question.user for asked in some]
        return _of_known(model.train_.users, users, lambda known: _ranked(model, [some[place] for place in known]))
    return _ranked(model, some)


def _ranked(model: Recommender, some: Sequence[_Asked]) -> list[Answer]:
    """Lists of people who ask alike, by one call."""
    one, pasts = some[0].question, [asked.past for asked in some if asked.past is not None]
    names: list[Any] = list(range(len(some))) if pasts else [asked.question.user for asked in some]
    top = model.recommend(
        histories_of(pasts, model.train_.items) if pasts else np.array(names),
        one.k,
        exclude_seen=one.exclude_seen,
        allow={name: asked.allow for name, asked in zip(names, some, strict=True) if asked.allow is not None} or None,
        deny={name: asked.deny for name, asked in zip(names, some, strict=True) if asked.deny} or None,
        unknown=one.unknown,
        now=one.now,
        steer=_steered(model.train_.items, one.steer),
        novelty=one.novelty,
        diversity=one.diversity,
    )
    return [
        {"user": asked.question.user, **_listed(top, place, asked.question.titles), "left_out": asked.left_out}
        for place, asked in enumerate(some)
    ]


def _alike(model: Recommender, some: Sequence[Similar]) -> list[Answer]:
    items = [one.item for one in some]

    def of_known(known: list[int]) -> list[Answer]:
        top = model.similar_items(np.array([items[place] for place in known]), some[0].k)
        return [{"item": items[asked], **_listed(top, place, some[asked].titles)} for place, asked in enumerate(known)]

    return _of_known(model.train_.items, items, of_known)


def _explained(model: Recommender, one: Explain) -> Answer:
    past = _past(model.train_.items, one)
    for ids, name in ((model.train_.users, one.user), (model.train_.items, one.item)):
        if name is not None and name not in ids:
            raise _unknown(ids, name)
    whose = np.array([one.user]) if past is None else histories_of([past], model.train_.items)
    why = model.explain(whose, one.item, one.k, points=one.points, now=one.now)
    return {
        "user": one.user,
        "item": one.item,
        "score": float(why.score),
        "items": why.items.tolist(),
        "contributions": why.contributions.tolist(),
        "others": float(why.others),
        "baseline": float(why.baseline),
        "remainder": float(why.remainder),
        "exact": why.exact,
        "left_out": 0 if past is None or one.history is None else len(one.history) - len(past.rows),
    }


def _listed(top: Top, place: int, titles: bool) -> dict[str, Any]:
    """One list as plain values; with what people call the items, or their ids where nothing is known."""
    _, items, scores = top[place]
    listed = {"items": items.tolist(), "scores": scores.tolist()}
    return listed | ({"titles": top[place : place + 1].columns(titles=True)["title"].tolist()} if titles else {})


def _past(items: Ids, person: Person) -> Past | None:
    """The history of somebody who is no user, without items that the model does not know."""
    if person.history is None:
        return None
    rows = _found(items, "history", person.history, person.strict)
    known = rows >= 0
    times = None if person.times is None else np.array(person.times, dtype=np.float64)[known]
    values = None if person.values is None else np.array(person.values, dtype=np.float32)[known]
    return Past(rows[known], times, values)


def _known(items: Ids, argument: str, given: list[Id], strict: bool) -> list[Id]:
    rows = _found(items, argument, given, strict)
    return [one for one, row in zip(given, rows.tolist(), strict=True) if row >= 0]


def _found(items: Ids, argument: str, given: list[Id], strict: bool) -> NDArray[np.int64]:
    """Rows of items, -1 where one is unknown."""
    if not given:
        return np.empty(0, dtype=np.int64)
    if len({type(one) for one in given}) > 1:
        raise ValueError(f"{argument} must hold integers or strings, not both, got {shown(given[:5])}")
    rows = items.find(given)
    if strict and rows.min() < 0:
        raise UnknownError(f"{argument}: the model does not know {shown(given[int(np.argmax(rows < 0))])}")
    return rows


def _steered(items: Ids, steer: dict[str, float] | None) -> dict[Any, float] | None:
    """Steering by ids as the model has them: in JSON all names are strings."""
    if steer is None or items.ids.dtype.kind == "U":
        return steer
    return {
        int(name) if name.removeprefix("-").isdecimal() and int(name) in items else name: weight
        for name, weight in steer.items()
    }


def _of_known(ids: Ids, names: Sequence[Any], answers: Callable[[list[int]], list[Answer]]) -> list[Answer]:
    """Answer for the names that are known, by one call with their places, and say of the others that they are not."""
    rows = ids.find(names)
    found = iter(answers(np.flatnonzero(rows >= 0).tolist())) if rows.max() >= 0 else iter(())
    return [next(found) if row >= 0 else _unknown(ids, name) for name, row in zip(names, rows.tolist(), strict=True)]


def _unknown(ids: Ids, name: Id) -> UnknownError:
    try:
        ids.rows([name])
    except ValueError as error:
        return UnknownError(str(error))
    raise AssertionError(f"{name!r} is known")


def _each(answer: Callable[[Question], Any], questions: Sequence[Question]) -> list[Any]:
    """Answer one question after the other; what has no answer says why."""
    answers: list[Any] = []
    for one in questions:
        try:
            answers.append(answer(one))
        except _REFUSALS as error:
            answers.append(error)
    return answers


def _together(answer: Callable[[Sequence[Question]], list[Answer]], questions: Sequence[Question]) -> list[Answer]:
    """Answer questions by one call; where that is refused each is asked alone, so that one hurts no other."""
    try:
        return answer(questions)
    except _REFUSALS as error:
        if len(questions) == 1:
            return [error]
        return [one for question in questions for one in _together(answer, [question])]


def _parted(keys: Iterable[Hashable]) -> list[list[int]]:
    """Places of equal keys."""
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return list(groups.values())

"""Questions that may be asked: the bodies of requests, checked before any work."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from diffrec.checks import nearest, real

#: Limits of one request: its longest list, and the most points of an explanation.
LONGEST, MOST_POINTS = 1000, 64

Id = int | str
# What arguments must be that are ids, or lists of them.
_OF_IDS = {
    **dict.fromkeys(("user", "item"), "must be an integer or a string"),
    **dict.fromkeys(("history", "allow", "deny"), "must hold integers or strings"),
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Person(_Body):
    """Who is asked about: a user that the model knows, or anybody by their history."""

    user: Id | None = Field(None, description="Id of a user that the model was fitted on.")
    history: list[Id] | None = Field(None, description="Instead: items that somebody took, oldest first.")
    times: list[float] | None = Field(None, description="When, in seconds since the epoch; by default their order.")
    values: list[float] | None = Field(None, description="How much each counts; 1 by default.")
    now: float | str | None = Field(None, description="The moment of serving, for models that count ages by the clock.")
    strict: bool = Field(False, description="Refuse items that the model does not know instead of leaving them out.")

    @model_validator(mode="after")
    def _one_person(self) -> "Person":
        if (self.user is None) == (self.history is None):
            raise ValueError("name either user or history")
        for name, check in (("times", real()), ("values", real(0))):
            given = getattr(self, name)
            if given is None:
                continue
            if self.history is None or len(given) != len(self.history):
                raise ValueError(f"{name} must have one number for each item of history, got {len(given)}")
            for one in given:
                check(name, one)
        return self


class Recommend(Person):
    """Ask for the best items, by the arguments of ``model.recommend``."""

    k: int = Field(20, ge=1, le=LONGEST, description="Length of the list.")
    exclude_seen: bool = Field(True, description="Leave out what is in the history.")
    allow: list[Id] | None = Field(None, description="Recommend only these items.")
    deny: list[Id] | None = Field(None, description="Never recommend these items.")
    unknown: Literal["error", "popular"] = Field("error", description="What a user gets that the model does not know.")
    steer: dict[str, float] | None = Field(None, description="Items, or what the data say of items -> weight.")
    novelty: float = Field(0.0, description="Push against popularity.")
    diversity: float = Field(0.0, description="Push the items of the list apart.")
    titles: bool = Field(False, description="Name the items also as people do.")


class Similar(_Body):
    """Ask for the items that are most like one."""

    item: Id = Field(description="Id of an item that the model knows.")
    k: int = Field(20, ge=1, le=LONGEST, description="Length of the list.")
    titles: bool = Field(False, description="Name the items also as people do.")


class Explain(Person):
    """Ask which past items carried the score of one."""

    item: Id = Field(description="Id of an item that the model knows.")
    k: int | None = Field(None, ge=1, le=LONGEST, description="How many past items to name; all by default.")
    points: int = Field(1, ge=1, le=MOST_POINTS, description="Points at which a gradient is taken.")


def refusal(errors: Sequence[Mapping[str, Any]], body: type[BaseModel] | None) -> str:
    """Say in one sentence what is wrong with a request, naming the argument and its value.

    Examples
    --------
    >>> refusal([{"loc": ("body", "k"), "msg": "Input should be greater than 0", "type": "x", "input": 0}], Recommend)
    'k should be greater than 0, got 0'
    >>> refusal([{"loc": ("body", "kk"), "msg": "", "type": "extra_forbidden", "input": 1}], Similar)
    "there is no argument 'kk'; did you mean 'k'?"
    >>> wrong = {"loc": ("body", "history", 0, "int"), "msg": "Input should be a number", "type": "x", "input": 1.5}
    >>> refusal([wrong], Recommend)
    'history must hold integers or strings, got 1.5'
    """
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    name = place[0] if place else "the request"
    if first["type"] == "extra_forbidden":
        names = [] if body is None else list(body.model_fields)
        return f"there is no argument {name!r}{nearest(name, names)}"
    if first["type"] == "missing":
        return f"{name} is missing"
    if first["type"] == "json_invalid":
        return "the request is no JSON"
    said = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("Value ")
    if first["type"] == "value_error":
        return said
    said = _OF_IDS.get(name, said)
    got = first.get("input")
    shown = repr(got)
    return f"{name} {said}, got {shown if len(shown) <= 80 else shown[:77] + '...'}"

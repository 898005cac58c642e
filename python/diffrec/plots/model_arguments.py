"""Checks of the models that pictures take: one model or several named ones."""

from collections.abc import Mapping
from typing import Any, TypeVar

from diffrec.recommenders import Recommender

Kind = TypeVar("Kind", bound=Recommender)


def one_model(model: Kind, kind: type[Any], argument: str = "model") -> Kind:
    """Refuse what is no recommender of a kind.

    Raises
    ------
    TypeError
        When it is something else.
    """
    if not isinstance(model, kind):
        raise TypeError(f"{argument} must be a {kind.__name__}, got {type(model).__name__}")
    return model


def named_models(models: Kind | Mapping[str, Kind], kind: type[Any]) -> dict[str, Kind]:
    """Models by the names to show; one alone goes by its class.

    Raises
    ------
    TypeError
        When one of them is something else.
    ValueError
        When there is none.
    """
    if not isinstance(models, Mapping):
        one = one_model(models, kind, "models")
        return {type(one).__name__: one}
    if not models:
        raise ValueError("models must name at least one model, got none")
    return {str(name): one_model(model, kind, f"models[{name!r}]") for name, model in models.items()}

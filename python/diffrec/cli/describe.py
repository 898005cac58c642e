"""A fitted model in plain values and in words."""

from typing import Any

from diffrec import Recommender


def described(model: Recommender) -> dict[str, Any]:
    """Describe a model and the data that it was fitted on, as plain values."""
    train, training = model.train_, model.training_
    validated = training.best_validation is not None
    usual = type(model)().settings.values(saved_only=True)
    settings = model.settings.values(saved_only=True)
    return {
        "class": type(model).__name__,
        "variant": model.variant,
        "settings": settings,
        "changed": [name for name, value in settings.items() if value != usual[name]],
        "users": train.shape[0],
        "items": train.shape[1],
        "interactions": len(train),
        "timestamps": train.timestamps is not None,
        "first_user": train.users[0] if len(train.users) else None,
        "first_item": train.items[0],
        "epochs": len(training.epochs),
        "best_epoch": training.best_epoch,
        "validation": {"metric": training.metric, "value": training.best_validation} if validated else None,
        "facts": training.facts,
    }


def in_words(values: dict[str, Any]) -> dict[str, str]:
    """Put the values of ``described`` in words for people, without the settings."""
    size = f"{values['users']:,} users x {values['items']:,} items, {values['interactions']:,} interactions"
    changed = ", ".join(f"{name}={values['settings'][name]!r}" for name in values["changed"])
    ids = f"items such as {values['first_item']!r}"
    if values["first_user"] is None:
        learnt = f"files, whose histories it does not keep; {values['items']:,} items"
    else:
        learnt = f"{size}, {'with' if values['timestamps'] else 'without'} timestamps"
        ids = f"users such as {values['first_user']!r}, {ids}"
    words = {
        "variant": values["variant"],
        "model": f"{values['class']}({changed})",
        "learnt from": learnt,
        "ids": ids,
    }
    if values["epochs"]:
        epochs = "1 epoch" if values["epochs"] == 1 else f"{values['epochs']} epochs"
        words["training"] = f"{epochs}, best at {values['best_epoch']}"
    if values["validation"] is not None:
        words["validation"] = f"{values['validation']['metric']} {values['validation']['value']:.4f}"
    return words

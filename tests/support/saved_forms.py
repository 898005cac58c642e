"""Models of every form as files: ``python tests/support/saved_forms.py FOLDER``, in a process of its own."""

import sys
from pathlib import Path

import diffrec
from diffrec import Interactions, Recommender
from support.model_fuzz import FORMS, data


def fitted(form: str, train: Interactions) -> Recommender:
    """Fit a form."""
    variant, settings = FORMS[form]
    return diffrec.fit(train, variant=variant, **settings)


if __name__ == "__main__":
    for form in FORMS:
        fitted(form, data(repeats=False)).save(Path(sys.argv[1]) / form, measured=False)

"""What makes a recommender an estimator: settings by name, copies, and what scikit-learn asks of it."""

import inspect
from abc import ABC
from typing import Any, ClassVar, Self

from diffrec.data import Interactions
from diffrec.recommenders.settings import Settings


class Estimator(ABC):
    """Settings as keyword names, by scikit-learn's conventions but without needing it."""

    # Whether the seed has no say.
    deterministic: ClassVar[bool] = False
    settings_type: ClassVar[type[Settings]] = Settings

    train_: Interactions

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Let ``help()`` and completion show the settings, which are written down once, in ``settings_type``."""
        super().__init_subclass__(**keywords)
        cls.__signature__ = cls.settings_type.signature()  # type: ignore[attr-defined]
        cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n\n{cls.settings_type.description()}\n"

    def __init__(self, **settings: Any) -> None:
        self.settings = self.settings_type.of(settings)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's signature
        """Return the settings by name."""
        return self.settings.values()

    def set_params(self, **settings: Any) -> Self:
        """Change settings; nothing changes if one of them is wrong."""
        self.settings = self.settings.replaced(settings)
        return self

    def __repr__(self) -> str:
        default = self.settings_type().values()
        changed = [f"{k}={v!r}" for k, v in self.settings.values().items() if repr(v) != repr(default[k])]
        return f"{type(self).__name__}({', '.join(changed)})"

    @property
    def n_features_in_(self) -> int:
        """Columns of the matrix it was fitted on: its items."""
        return self.train_.shape[1]

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn, which alone calls this, that rows are sparse and hold no negative values or labels."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(sparse=True, positive_only=True),
        )

"""The automatic choice: candidates on one table, judged on the newest baskets, and a stack of the best."""

from diffrec.recommenders.auto.choose import choose_and_fit

__all__ = ["choose_and_fit"]

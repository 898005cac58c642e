import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "fast", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


def folder_named_by(variable: str, what: str) -> Path:
    """The existing folder that an environment variable names; without it the test is skipped."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set; it names the folder of {what}")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"{variable} is {value}, which is no folder")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of numbers computed with the published code of the paper's authors."""
    return folder_named_by("DIFFREC_GOLDEN", "the golden numbers")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the data sets of the published experiments."""
    return folder_named_by("DIFFREC_DATA", "the data sets")

from collections.abc import Iterator

import pytest

from support.worlds import Processes, processes


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes that any test may have work for: their start takes longer than most of it."""
    with processes(tmp_path_factory.mktemp("world")) as started:
        yield started

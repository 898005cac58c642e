from collections.abc import Iterator

import pytest
import torch

from support.worlds import Processes, processes


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes that any test may have work for: their start takes longer than most of it."""
    with processes(tmp_path_factory.mktemp("world")) as started:
        yield started


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute alone as each of several processes does: another number of threads rounds otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

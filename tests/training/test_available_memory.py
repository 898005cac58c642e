"""How much memory is left, read from made-up system files."""

from pathlib import Path

import pytest
import torch

from diffrec import _memory as memory
from diffrec.training import available_memory, require_memory
from diffrec.training.plan import Plan


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 1000 MB left and no limits."""
    monkeypatch.setattr(memory, "_SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    (tmp_path / "meminfo").write_text("MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n")
    (tmp_path / "cgroup").write_text("0::/\n")
    return tmp_path


def group(folder: Path, limit: str, usage: int, cache: int = 0, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("memory.max", "memory.current")}[version]
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{'total_' if version == 1 else ''}inactive_file {cache}\n")


def test_the_system_alone(system: Path) -> None:
    assert available_memory() == 1024000 * 1024
    group(system / "groups", "max", 10**6)
    assert available_memory() == 1024000 * 1024


def test_the_limit_of_a_container(system: Path) -> None:
    group(system / "groups", "500000000", 200000000, cache=50000000)
    assert available_memory() == 350000000


def test_the_smallest_of_nested_limits(system: Path) -> None:
    (system / "cgroup").write_text("0::/outer/inner\n")
    group(system / "groups" / "outer" / "inner", "900000000", 0)
    group(system / "groups" / "outer", "400000000", 100000000)
    assert available_memory() == 300000000


def test_the_first_version_of_control_groups(system: Path) -> None:
    (system / "cgroup").write_text("4:cpu,cpuacct:/job\n3:memory:/job\n1:name=systemd:/job\n")
    group(system / "groups" / "memory" / "job", "300000000", 100000000, cache=1, version=1)
    assert available_memory() == 200000001


def test_a_limit_that_is_exceeded_leaves_nothing(system: Path) -> None:
    group(system / "groups", "100", 200)
    assert available_memory() == 0


def test_without_linux_there_is_still_an_answer(system: Path) -> None:
    (system / "meminfo").unlink()
    (system / "cgroup").unlink()
    left = available_memory()
    assert left is not None
    assert left > 0


@pytest.mark.usefixtures("system")
def test_refusal_says_how_much_and_what_else() -> None:
    require_memory(1000 * 2**20, "It", "use less")
    with pytest.raises(MemoryError, match=r"It needs about 2\.0 GB of memory, and 1\.0 GB are available; use less"):
        require_memory(2 * 10**9, "It", "use less")


@pytest.mark.usefixtures("system")
def test_processes_of_a_machine_share_its_memory() -> None:
    plan = Plan(parameters=10**6, memory=600 * 2**20)
    plan.require(torch.device("cpu"), "use less")
    with pytest.raises(MemoryError, match=r"needs about 0\.6 GB of memory, and 0\.5 GB are available; use less"):
        plan.require(torch.device("cpu"), "use less", 2)

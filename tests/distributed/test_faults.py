"""Real processes of the command line: one of them is killed, and what becomes of the others."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

import diffrec
from diffrec.distributed import World
from diffrec.distributed.checkpoint import SpreadCheckpoint
from diffrec.distributed.world import Group, LostProcessError, Traffic, met
from support.spread_training import data

TIMEOUT = 20
FIT = [
    "--variant",
    "diffrec",
    "--set",
    "dims=8",
    "--set",
    "validate_every=1",
    "--set",
    "patience=1000000",
    "--seed",
    "1",
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "taken.csv"
    data().write(path)
    return path


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def start(table: Path, out: Path, rank: int, size: int, port: str, epochs: int) -> "subprocess.Popen[str]":
    told = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = os.environ | {name: str(value) for name, value in told.items()} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "diffrec.train", str(table), "--out", str(out), "--timeout", str(TIMEOUT), *FIT]
    return subprocess.Popen(
        [*command, "--set", f"epochs={epochs}"], env=environment, text=True, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip


def test_a_killed_process_ends_the_others_with_one_message(table: Path, tmp_path: Path) -> None:
    port = free_port()
    first, second = (start(table, tmp_path / "out.diffrec", rank, 2, port, 10**6) for rank in range(2))
    try:
        assert first.stderr is not None
        # The first process tells of every epoch: the training goes on.
        while "epoch" not in (line := first.stderr.readline()):
            assert line, "the training ended before it began"
        second.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        said = [line for line in first.communicate(timeout=3 * TIMEOUT)[1].splitlines() if "epoch" not in line]
        assert time.monotonic() - killed < TIMEOUT + 5
    finally:
        for one in (first, second):
            one.kill()
            one.communicate()
    assert first.returncode == 1
    assert len(said) == 1
    assert said[0].startswith("error: process 0 of 2 on ")
    # It may have been waiting for what the other did alone, for which it has more patience.
    assert re.search(f"another process of this training ended, or did not answer within ({TIMEOUT}|1800) s", said[0])
    assert not (tmp_path / "out.diffrec").exists()


KILLED_ONCE = """
import os, signal, sys
from diffrec.distributed import Spread

beaten, total = [], Spread.total

def dies(self, value):
    beaten.append(value)
    if len(beaten) == 4 and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    return total(self, value)

if os.environ.get("DIES"):
    Spread.total = dies
from diffrec.cli import main
sys.argv.insert(1, "fit")
main()
"""


@pytest.mark.long
def test_torchrun_goes_on_from_the_last_checkpoint_to_the_same_bits(table: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed_once.py"
    script.write_text(KILLED_ONCE)
    for name, dies in (("whole", ""), ("cut", "1")):
        command = [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1",
            f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--rdzv-backend=c10d", str(script), str(table),
            "--out", str(tmp_path / f"{name}.diffrec"), "--checkpoint", str(tmp_path / f"{name}.checkpoint"), *FIT,
            "--set", "epochs=8",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            env=os.environ | {"DIES": dies, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert ("exitcode: -9" in done.stderr) == bool(dies)
    whole, cut = (diffrec.load(tmp_path / f"{name}.diffrec") for name in ("whole", "cut"))
    for name, values in whole._state().items():
        np.testing.assert_array_equal(cut._state()[name], values, err_msg=name)


def test_a_second_attempt_meets_apart_from_the_first() -> None:
    store = dist.HashStore()
    names: list[set[str]] = []
    for _ in range(2):
        with ThreadPoolExecutor(3) as pool:
            # The others come first, and find what the attempt before has left.
            late = [pool.submit(met, store, rank, 3, 10.0) for rank in (2, 1)]
            time.sleep(0.1)
            names.append({met(store, 0, 3, 10.0), *(one.result() for one in late)})
    assert [len(one) for one in names] == [1, 1]
    assert names[0] != names[1]
    with pytest.raises(LostProcessError, match="process 0 of 2 on .* did not come within 0.2 s"):
        met(dist.HashStore(), 0, 2, 0.2)


def test_other_errors_are_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="size of tensor a") as raised, Group(None, 1, Traffic()).listening():
        torch.zeros(2) + torch.zeros(3)
    assert not isinstance(raised.value, LostProcessError)


def test_a_lost_process_is_no_damaged_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise LostProcessError("another process ended")

    (tmp_path / "fit" / "state-000001").mkdir(parents=True)
    monkeypatch.setattr(SpreadCheckpoint, "_load", lost)
    with pytest.raises(LostProcessError, match="another process ended"):
        SpreadCheckpoint(tmp_path / "fit", "epoch", {}, World(None, None, None), lambda _: None)


def test_the_place_of_a_checkpoint_is_tried_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        SpreadCheckpoint(tmp_path / "file" / "fit", "epoch", {}, World(None, None, None), lambda _: None)


def test_what_is_no_world_is_refused_and_a_world_of_one_is_no_spreading() -> None:
    with pytest.raises(ValueError, match="distributed must be 'auto', 'never' or what World.join.. gives, got 5"):
        diffrec.fit(np.eye(3), variant="ease", distributed=5)
    model = diffrec.fit(np.array([[1, 1, 0], [0, 1, 1]]), variant="ease", distributed=World(None, None, None))
    assert model.score().shape == (2, 3)


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_whose_others_never_come_says_so(rank: int) -> None:
    world = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    done = subprocess.run(
        [sys.executable, "-c", "from diffrec.distributed import World; World.join(timeout=2)"],
        env={**os.environ, **world},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"LostProcessError: process {rank} of 2 on" in done.stderr

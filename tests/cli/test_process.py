"""The program itself: streams, exit codes, Ctrl-C, and how much memory it takes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

import diffrec
from support.commands import leftovers
from support.peak import OWN_PEAK
from support.resuming import same

DIFFREC = Path(sys.executable).parent / "diffrec"


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "diffrec", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_rows(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until the table is being written."""
    while process.poll() is None:
        if any(file.name.startswith(".top") and file.stat().st_size > 0 for file in folder.iterdir()):
            return
        time.sleep(0.01)
    pytest.fail(f"it ended before it was interrupted: {process.communicate()}")


@pytest.fixture(scope="module")
def popular(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of many users, whose lists take some seconds to write."""
    rng = np.random.default_rng(0)
    n = 200_000
    users = np.repeat(np.arange(n), 2)
    data = diffrec.Interactions.from_arrays(users, rng.integers(100, size=2 * n))
    file = tmp_path_factory.mktemp("popular") / "model.diffrec"
    diffrec.fit(data, variant="popularity").save(file)
    return file


def test_results_and_notes_have_their_own_streams(folder: Path) -> None:
    done = subprocess.run(
        [DIFFREC, "fit", "ratings.csv", "--out", "m", "--variant", "popularity"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == (
        "ratings.csv: 617 rows read, 617 events\n"
        "columns: user is 'user', item is 'item', timestamp is 'timestamp'\n"
        "ratings.csv: 60 users x 40 items, 617 interactions\n"
    )
    assert done.stdout.startswith("variant ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["info", "gone"], 1, "error: there is no model file 'gone'\n"),
        (["inform"], 2, "No such command 'inform'"),
    ],
)
def test_exit_codes_of_errors(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    process = start(tmp_path, *arguments)
    _, stderr = process.communicate()
    assert process.returncode == code
    assert said in stderr


@pytest.mark.long
def test_the_same_command_goes_on_where_it_was_killed(folder: Path) -> None:
    """Several times, wherever it was: it ends with the model of a command that was never killed."""
    command = ["fit", "ratings.csv", "--variant", "diffrec", "--set=dims=8", "--set=epochs=40", "--set=patience=40"]
    whole = start(folder, *command, "--out", "whole")
    whole.communicate()
    assert whole.returncode == 0
    written, killed = 0, 0
    while True:
        process = start(folder, *command, "--out", "again", "--checkpoint", "c")
        while killed < 3 and process.poll() is None:
            found = (folder / "c").stat().st_mtime_ns if (folder / "c").exists() else 0
            if found > written and (folder / "c").stat().st_size > 10_000:  # an epoch, of one or of the next process
                written = found
                process.kill()
            time.sleep(0.002)
        process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        assert not (folder / "again").exists()
        killed += 1
    assert killed == 3
    same(diffrec.load(folder / "whole", device="cpu"), diffrec.load(folder / "again", device="cpu"))
    assert leftovers(folder) == []


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_ctrl_c_leaves_the_file_as_it_was(popular: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"top{suffix}"
    file.write_text("before")
    process = start(tmp_path, "recommend", popular, "--k", 50, "--out", file.name)
    wait_for_rows(tmp_path, process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()
    assert process.returncode == 130
    assert (stdout, stderr) == ("", "interrupted\n")
    assert file.read_text() == "before"
    assert leftovers(tmp_path) == []


def test_a_request_to_end_is_followed_as_tidily(popular: Path, tmp_path: Path) -> None:
    process = start(tmp_path, "recommend", popular, "--k", 50, "--out", "top.parquet")
    wait_for_rows(tmp_path, process)
    process.terminate()
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code", "variant", "endless", "under_way"),
    [
        (signal.SIGINT, 130, "diffrec", ("dims=8", "epochs=1000000", "patience=1000000"), "epoch 10:"),
        (signal.SIGTERM, 143, "ials", ("iterations=1000000",), "60 users x 40 items"),
    ],
)
def test_ctrl_c_and_a_request_to_end_stop_training(
    folder: Path, number: int, code: int, variant: str, endless: tuple[str, ...], under_way: str
) -> None:
    settings = [f"--set={setting}" for setting in endless]
    process = start(folder, "fit", "ratings.csv", "--out", "new.diffrec", "--variant", variant, *settings)
    assert process.stderr is not None
    for line in process.stderr:
        if under_way in line:
            break
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == code
    assert stderr.endswith("interrupted\n")
    assert "Traceback" not in stderr
    assert not (folder / "new.diffrec").exists()
    assert leftovers(folder) == []


def test_a_reader_that_leaves_early_is_no_error_worth_a_word(popular: Path, tmp_path: Path) -> None:
    with start(tmp_path, "recommend", popular, "--k", 5) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "user,item,rank,score\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("command", [["info"], ["recommend"], ["recommend", "--json"], ["--help"], ["fit", "--help"]])
def test_a_reader_that_is_gone_is_no_error_worth_a_word(popular: Path, tmp_path: Path, command: list[str]) -> None:
    model = [] if "--help" in command else [str(popular)]
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [*command[:1], *model, *command[1:]]
    done = subprocess.run(
        [sys.executable, "-m", "diffrec", *arguments], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


def test_doctor_sees_the_threads_it_is_given() -> None:
    environment = os.environ | {"RAYON_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}
    code = "import json; from diffrec.cli import doctor; print(json.dumps(doctor.threads()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    threads = json.loads(done.stdout)
    assert (threads["kernels"], threads["torch"]) == (3, 2)


def test_without_typer_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['typer'] = None; from diffrec.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == 'error: the command line needs typer: pip install "diffrec[cli]"\n'


PEAK = f"""{OWN_PEAK}
import sys
sys.argv = ["diffrec", *sys.argv[1:]]
from diffrec.cli import main
try:
    main()
finally:
    print(peak(), file=sys.stderr)
"""


def peak(folder: Path, *arguments: object) -> int:
    command = [sys.executable, "-c", PEAK, *map(str, arguments), "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stderr.splitlines()[-1])


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".inter", ".parquet", ".npz"])
def test_lists_of_many_users_are_never_in_memory_at_once(popular: Path, tmp_path: Path, suffix: str) -> None:
    few = peak(tmp_path, "recommend", popular, "--k", 50, "--users", "1,2,3", "--out", f"few{suffix}")
    many = peak(tmp_path, "recommend", popular, "--k", 50, "--out", f"many{suffix}")
    rows = 200_000 * 50
    # In memory the table would be 8 + 8 + 8 + 4 bytes a row, before any of it is text.
    assert many - few < rows * 28 / 2
    assert rows_of(tmp_path / f"many{suffix}") == rows


def rows_of(file: Path) -> int:
    if file.suffix == ".parquet":
        return parquet.ParquetFile(file).metadata.num_rows
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return len(arrays["rank"])
    with file.open() as lines:
        return sum(1 for _ in lines) - 1

"""Every command in the README, in the documentation and in the help runs as it stands."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import diffrec
from diffrec import serving
from diffrec.cli.app import COMMANDS, function_of
from diffrec.comparison import fits
from diffrec.data.prepare import prepare
from diffrec.explore import Server
from diffrec.recommenders import VARIANTS
from diffrec.recommenders.trained import TrainedRecommender
from support.commands import run, succeed
from support.lists import histories_of

ROOT = Path(__file__).parents[2]


def commands_in(document: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("diffrec ")]


def examples() -> list[str]:
    lines = [line.strip() for name in COMMANDS for line in (function_of(name).__doc__ or "").splitlines()]
    # Minutes on the world that is generated without a file; `make demo` runs it.
    return [line for line in lines if line.startswith("diffrec ") and line != "diffrec demo"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, data: diffrec.Interactions) -> Path:
    """A folder with the files that the commands name."""
    place = tmp_path_factory.mktemp("made")
    numbered = diffrec.Interactions.from_csr(data.matrix, data.timestamps)
    numbered.write(place / "ratings.csv")
    split = numbered.split()
    for name, part in zip(("train", "valid", "test"), split, strict=True):
        part.write(place / f"{name}.csv")
    numbered.take([3, 4]).write(place / "newcomers.csv")
    pq.write_table(histories_of(numbered.take([5, 6])), place / "lists.parquet")
    (place / "some.txt").write_text("12\n57\n")
    (place / "orders.csv").write_text(
        "buyer,thing,bought,amount\n1,2,2026-01-31,3\n2,3,2026-02-01T10:00,1\n2,2,2026-01-01,1\n"
    )
    (place / "bare.tsv").write_text("1\t2\t5\t100\n2\t3\t4\t101\n2\t2\t4\t99\n")
    prepare(place / "ratings.csv", place / "prepared")
    small: dict[str, Any] = {"dims": (4,), "epochs": 1, "progress": False}
    diffrec.fit(place / "prepared", variant="diffrec", **small).save(place / "of-files.diffrec")
    diffrec.fit(split.train, variant="popularity").save(place / "model.diffrec")
    diffrec.fit(numbered, holdout=0, **small).save(place / "guided.diffrec")
    diffrec.fit(data, variant="ease").save(place / "titled.diffrec")
    (place / "new.csv").write_text("item,title,genre\nfirst,The Amber Heart 99,Romance\n")
    return place


@pytest.fixture
def files(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the commands name, in the folder they run in, and fits that stop early."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    fit = diffrec.fit

    def quick(*arguments: Any, **settings: Any) -> diffrec.Recommender:
        trained = issubclass(VARIANTS[settings.get("variant", "diffrec")].kind, TrainedRecommender)
        return fit(*arguments, **settings | ({"epochs": 2} if trained else {}))

    def interrupted(server: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    monkeypatch.setattr(serving.Server, "run", interrupted)
    monkeypatch.setattr(diffrec, "fit", quick)
    monkeypatch.setattr(fits, "fit", quick)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("document", ["README.md", "docs/command-line.md"])
def test_documents(document: str) -> None:
    commands = commands_in(document)
    assert len(commands) >= 8
    for command in commands:
        succeed(*shlex.split(command, comments=True)[1:])


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("command", examples())
def test_examples_of_the_help(command: str) -> None:
    succeed(*shlex.split(command)[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_every_option_explained_and_every_example_on_its_line(name: str) -> None:
    documented = function_of(name).__doc__ or ""
    said = succeed(name, "--help")
    lines = [line.strip() for line in said.splitlines()]
    own = [line.strip() for line in documented.splitlines() if line.strip().startswith("diffrec ")]
    assert own
    assert set(own) <= set(lines)
    first = documented.splitlines()[0].strip()
    assert first in lines
    assert first in succeed("--help")
    for line in lines:
        # An option's row ends with its meaning: a sentence, perhaps with its default.
        if re.match(r"│ \*? *--", line):
            assert re.search(r"[.\]] *│$", line), line


def test_the_documents_name_every_command() -> None:
    text = (ROOT / "docs/command-line.md").read_text()
    named = re.findall(r"(?m)^\| `diffrec (\w+)", text)
    assert named == list(COMMANDS)
    assert set(re.findall(r"(?m)^\| (\d+) \|", text)) == {"0", "1", "2", "130", "143"}


def test_no_command_is_an_answer_in_itself() -> None:
    assert "Usage: diffrec" in run().output

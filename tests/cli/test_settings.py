"""What ``--set`` reads, and what it refuses before any data is read."""

import datetime
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import diffrec
from diffrec.cli.named_settings import fit_arguments, parse_value, whole_numbers
from diffrec.cli.output import warnings_as_notes
from support.commands import fail, run, succeed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("600", 600),
        ("-3", -3),
        ("1e-4", 1e-4),
        ("0.5", 0.5),
        ("600,200", (600, 200)),
        ("(600, 200)", (600, 200)),
        ("[600,200]", (600, 200)),
        ("600,", (600,)),
        ("(600)", (600,)),
        ("()", ()),
        ("[]", ()),
        ("true", True),
        ("False", False),
        ("none", None),
        ("null", None),
        ("cosine", "cosine"),
        ("linear-var", "linear-var"),
        ("30d", datetime.timedelta(days=30)),
        ("1.5h", datetime.timedelta(minutes=90)),
        ("45m", datetime.timedelta(minutes=45)),
        ("2w", datetime.timedelta(weeks=2)),
        ("10s", datetime.timedelta(seconds=10)),
        ("5min", datetime.timedelta(minutes=5)),
        ("9999999999w", "9999999999w"),
        ("", ""),
    ],
)
def test_values_are_read_by_their_form(text: str, value: Any) -> None:
    read = parse_value(text)
    assert read == value
    assert type(read) is type(value)


def test_an_array_is_read_from_its_file(tmp_path: Path) -> None:
    vectors = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "vectors.npy", vectors)
    assert np.array_equal(parse_value(f"@{tmp_path}/vectors.npy"), vectors)
    with pytest.raises(typer.BadParameter, match=r"@.*gone\.npy is not the \.npy file of an array"):
        parse_value(f"@{tmp_path}/gone.npy")


def test_only_what_is_given_is_passed_on() -> None:
    assert fit_arguments(None, variant=None, preset=None, seed=None, device=None) == {}
    assert fit_arguments(["dims=8", "seed=3"], variant="diffrec", seed=None) == {
        "variant": "diffrec",
        "dims": 8,
        "seed": 3,
    }


def test_names_may_have_dashes() -> None:
    assert fit_arguments(["batch-size=10"]) == {"batch_size": 10}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--set", "dims"], "--set: 'dims' is not of the form name=value, such as dims=600"),
        (["--set", "=3"], "is not of the form name=value"),
        (["--set", "dims=8", "--set", "dims=9"], "--set: dims is set twice"),
        (["--set", "seed=8", "--seed", "9"], "--set: seed is set twice"),
        (["--set", "dimz=8"], "--set: 'dimz' is not a setting; did you mean 'dims'?"),
        (["--set", "dims=wide"], "--set: dims must be a whole number, got 'wide'"),
        (["--set", "lr=-1"], "--set: lr must be above 0, got -1"),
        (["--set", "valid=a.csv"], "--set: valid is no setting; --valid FILE gives it"),
        (["--seed", "-1"], "seed must be from 0 to"),
        (["--seed", "one"], "--seed"),
        (["--variant", "esae"], "--variant: 'esae' is none of auto, diffrec, .* did you mean 'ease'?"),
        (["--variant", "ease", "--set", "dims=8"], "--set: 'dims' is not a setting"),
        (["--preset", "paper/ml"], "--preset: preset must be one of"),
        (["--variant", "ease", "--preset", "paper/ml-1m_clean"], "--preset: .* not for variant 'ease'"),
        (["--device", "gpu"], "--device: device must be 'auto', 'cpu'"),
    ],
)
def test_bad_settings_are_refused_before_the_data_is_read(tmp_path: Path, given: list[str], message: str) -> None:
    import re

    said = fail(2, "fit", tmp_path / "gone.csv", "--out", tmp_path / "m", *given)
    assert re.search(message, said), said
    assert list(tmp_path.iterdir()) == []


def test_settings_reach_the_model(folder: Path) -> None:
    told = run(
        *("fit", "ratings.csv", "--out", "m.diffrec", "--preset", "paper/ml-1m_clean", "--seed", 5, "--device", "cpu"),
        *("--set", "dims=8", "--set", "epochs=1", "--set", "normalize=true", "--set", "half_life=30d"),
    )
    assert told.exit_code == 0, told.output
    assert "warning: half_life has no effect without time_weights" in told.stderr.splitlines()
    settings = diffrec.load(folder / "m.diffrec").get_params()
    expected = {
        "dims": (8,),
        "epochs": 1,
        "normalize": True,
        "half_life": datetime.timedelta(days=30),
        "seed": 5,
        "steps": 40,
    }
    assert {name: settings[name] for name in expected} == expected


def test_the_variant_may_be_a_setting(folder: Path) -> None:
    succeed("fit", "ratings.csv", "--out", "m.diffrec", "--set", "variant=ease", "--set", "l2=7")
    assert diffrec.load(folder / "m.diffrec").get_params()["l2"] == 7


@pytest.mark.parametrize("text", ["", "0", "10,", "ten", "-1", "1.5"])
def test_cuts_are_whole_numbers(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="must be whole numbers above 0 separated by commas"):
        whole_numbers(text, "--k")


def test_a_warning_is_said_at_once_and_once_and_by_the_first_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings_as_notes():
        for words in ("warning: too little\n", ""):
            warnings.warn("too little", stacklevel=1)
            assert capsys.readouterr().err == words
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with warnings_as_notes():
        warnings.warn("too little", stacklevel=1)
    assert capsys.readouterr().err == ""

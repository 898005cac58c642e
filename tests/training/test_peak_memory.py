import pytest

from diffrec.training import peak_memory


def test_peaks_are_not_known_where_nobody_measures_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peak_memory._peak_since_start() > 1e7
    monkeypatch.setattr(peak_memory, "resource", None)
    assert peak_memory._peak_since_start() == 0

"""The instruction set is the caller's to choose, and hardly changes an answer."""

import os
import subprocess
import sys

import numpy as np
import pytest

from diffrec import _core

EVERYTHING = """
import sys
import numpy as np
from diffrec import _core
from support.sparse import csr_of

rng = np.random.default_rng(0)
scores = rng.integers(0, 3000, (5, 5003)).astype(np.float32)
matrix = csr_of([dict.fromkeys(rng.integers(0, 5003, 50).tolist(), 1.0) for _ in range(5)])
items, values = np.full((5, 20), -1, np.int32), np.full((5, 20), -np.inf, np.float32)
_core.top_k(scores, 0, matrix, np.arange(5), None, items, values)
points = rng.standard_normal((2000, 19), dtype=np.float32) + 9 * np.eye(30, 19, dtype=np.float32)[np.arange(2000) % 30]
labels, centroids, _, _ = _core.kmeans(points, 30, 1, 20, 0.0, None, 3, points[:30].copy())
whitened, back = _core.als_whiten(rng.standard_normal((5003, 20), dtype=np.float32), 1.0)
factors, _ = _core.als_solve(matrix, whitened, back, 3.0)
np.savez(sys.argv[1], level=_core.simd_level(), items=items, values=values, labels=labels, centroids=centroids,
         factors=factors)
"""


def python(code: str, level: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DIFFREC_SIMD": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)


def test_levels_agree(tmp_path) -> None:
    answers = []
    for level in _core.simd_levels():
        file = tmp_path / f"{level}.npz"
        done = python(EVERYTHING, level, str(file))
        assert done.returncode == 0, done.stderr
        answers.append(np.load(file))
        assert answers[-1]["level"] == level
    for answer in answers[1:]:
        for name in ("items", "values", "labels"):
            np.testing.assert_array_equal(answer[name], answers[0][name])
        for name in ("centroids", "factors"):
            np.testing.assert_allclose(answer[name], answers[0][name], rtol=1e-4, atol=1e-4)


def test_the_fastest_is_the_default() -> None:
    levels = _core.simd_levels()
    assert levels[-1] == "scalar"
    assert len(set(levels)) == len(levels)
    code = "from diffrec import _core; print(_core.simd_level())"
    assert python(code, "").stdout.split() == levels[:1]


def test_the_level_in_use_is_available() -> None:
    assert _core.simd_level() in _core.simd_levels()


@pytest.mark.parametrize("level", ["sse9", "AVX2", "avx2 ", "avx2", "neon"])
def test_a_level_that_cannot_be_had_is_refused_by_the_import(level: str) -> None:
    if level in _core.simd_levels():
        pytest.skip(f"this processor has {level}")
    done = python("import diffrec", level)
    last = done.stderr.splitlines()[-1]
    have = ", ".join(_core.simd_levels())
    assert last == f'ImportError: the environment variable `DIFFREC_SIMD` is "{level}", but this processor has {have}'

"""What holds for every function: refused arrays, the GIL, and the same bits for any number of threads."""

import contextlib
import inspect
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec import _core


def matrix(empty_rows: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([0, 2, 4] + [4] * empty_rows), np.array([0, 1, 1, 2], np.int32), np.ones(4, np.float32)


def events(*names: str) -> dict[str, np.ndarray]:
    arrays = {
        "indptr": np.array([0, 2, 4]),
        "items": np.array([0, 1, 1, 2], np.int32),
        "baskets": np.array([0, 1, 0, 1], np.int32),
        "rows": np.array([0, 1]),
        "places": np.array([0, 0]),
        "cuts": np.array([1, 2]),
    }
    return {name: arrays[name] for name in names}


#: Of each function every argument, so that it is tried.
CALLS: dict[str, Callable[[], dict[str, Any]]] = {
    "check_csr": lambda: {
        "matrix": matrix(),
        "shape": (2, 3),
    },
    "noised_rows": lambda: {
        "matrix": matrix(),
        "rows": np.array([0, 1]),
        "signal": np.ones(2, np.float32),
        "spread": np.ones(2, np.float32),
        "out": np.zeros((2, 3), np.float32),
        "normalize": True,
        "dropout": 0.5,
        "seed": 0,
        "step": 1,
        "keys": np.array([7, 9]),
        "first": 0,
    },
    "normal_rows": lambda: {
        "seed": 0,
        "step": 1,
        "rows": np.array([0, 1]),
        "first": 5,
        "out": np.zeros((2, 3), np.float32),
    },
    "time_weights": lambda: {
        "indptr": np.array([0, 2, 4]),
        "timestamps": np.arange(4.0),
        "kind": "linear",
        "w_min": 0.1,
        "w_max": 1.0,
        "half_life": 1.0,
        "clock": True,
    },
    "draw_cuts": lambda: {
        **events("indptr", "baskets", "rows", "places"),
        "most": 2,
        "seed": 0,
        "step": 1,
    },
    "prefix_rows": lambda: {
        **events("indptr", "items", "baskets", "rows", "cuts"),
        "times": np.arange(4.0),
        "n_items": 3,
        "scales": [("interactions", 2.0), ("even", 0.0)],
        "repeats": False,
        "now": 5.0,
        "intervals": np.ones(3),
    },
    "next_items": lambda: {
        **events("indptr", "items", "baskets", "rows", "cuts"),
        "n_items": 3,
        "horizon": 1,
        "repeats": True,
        "fresh": True,
    },
    "top_k": lambda: {
        "scores": np.ones((2, 3), np.float32),
        "first_item": 0,
        "seen": matrix(),
        "rows": np.array([0, 1]),
        "denied": np.zeros(3, bool),
        "items": np.full((2, 2), -1, np.int32),
        "values": np.full((2, 2), -np.inf, np.float32),
    },
    "negative_items": lambda: {
        "matrix": matrix(),
        "n_items": 4,
        "rows": np.array([0, 1]),
        "seed": 0,
        "epoch": 1,
    },
    "nearest_items": lambda: {
        "matrix": matrix(),
        "right": np.ones(4, np.float32),
        "n_items": 3,
        "k": 2,
        "itself": True,
    },
    "pair_sums": lambda: {
        "matrix": matrix(),
        "right": np.ones(4, np.float32),
        "n_items": 3,
        "ranked": np.array([[0, 1], [2, -1]], np.int32),
    },
    "sparse_product": lambda: {
        "left": matrix(),
        "right": matrix(empty_rows=1),
        "first_column": 1,
        "out": np.zeros((2, 2), np.float32),
    },
    "sparse_dense_product": lambda: {
        "left": matrix(),
        "right": np.ones((3, 4), np.float32),
        "first_column": 1,
        "out": np.zeros((2, 2), np.float32),
    },
    "als_whiten": lambda: {"factors": np.ones((3, 2), np.float32), "l2": 1.0},
    "als_solve": lambda: {
        "matrix": matrix(),
        "whitened": np.ones((3, 16), np.float32),
        "back": np.eye(2, dtype=np.float32),
        "alpha": 2.0,
        "cg_steps": 2,
    },
    "kmeans": lambda: {
        "points": np.array([[0, 0], [0, 1], [9, 8], [9, 9]], np.float32),
        "k": 2,
        "n_init": 1,
        "max_iter": 9,
        "tol": 0.0,
        "balance": None,
        "seed": 0,
        "init": np.array([[0, 0], [9, 9]], np.float32),
    },
    "ranking_metrics": lambda: {
        "ranked": np.zeros((2, 2), np.int32),
        "relevant": matrix(),
        "k": [1, 2],
    },
    "coverage": lambda: {"ranked": np.zeros((2, 2), np.int32), "n_items": 3, "k": [1, 2]},
}
PARTS = ("indptr", "indices", "data")


def arrays_of(arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays among arguments and in their matrices, by the names that errors give them."""
    arrays = {}
    for argument, value in arguments.items():
        if isinstance(value, np.ndarray):
            arrays[argument] = value
        elif isinstance(value, tuple) and len(value) == 3:
            arrays |= {f"{argument}.{part}": array for part, array in zip(PARTS, value, strict=True)}
    return arrays


def with_array(arguments: dict[str, Any], name: str, array: Any) -> dict[str, Any]:
    """The arguments with another array of that name."""
    argument, _, part = name.partition(".")
    if part:
        array = tuple(array if own == part else value for own, value in zip(PARTS, arguments[argument], strict=True))
    return arguments | {argument: array}


def with_part(name: str, argument: str, part: int, array: np.ndarray) -> tuple[np.ndarray, ...]:
    """A matrix of a function's example with another array."""
    return with_array(CALLS[name](), f"{argument}.{PARTS[part]}", array)[argument]


ARRAYS = [(name, argument) for name, make in CALLS.items() for argument in arrays_of(make())]
INTEGERS = [
    (name, argument)
    for name, make in CALLS.items()
    for argument, value in make().items()
    if isinstance(value, int) and not isinstance(value, bool)
]
WRITTEN = [
    ("noised_rows", "out"),
    ("normal_rows", "out"),
    ("sparse_product", "out"),
    ("sparse_dense_product", "out"),
    ("top_k", "items"),
    ("top_k", "values"),
]


def refused(name: str, argument: str, change: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    arguments = CALLS[name]()
    arguments = with_array(arguments, argument, change(arrays_of(arguments)[argument]))
    with pytest.raises(error, match=f"`{argument.removeprefix('matrix.')}` {message}"):
        getattr(_core, name)(**arguments)


def test_every_argument_of_every_function_is_tried() -> None:
    functions = {name: inspect.signature(it) for name, it in vars(_core).items() if inspect.isbuiltin(it)}
    parameters = {name: list(signature.parameters) for name, signature in functions.items() if signature.parameters}
    assert {name: sorted(make()) for name, make in CALLS.items()} == {
        name: sorted(names) for name, names in parameters.items()
    }


@pytest.mark.parametrize("name", CALLS)
def test_the_examples_are_sound(name: str) -> None:
    getattr(_core, name)(**CALLS[name]())


@pytest.mark.parametrize(("name", "argument"), ARRAYS)
def test_a_wrong_array_is_named(name: str, argument: str) -> None:
    refused(name, argument, lambda array: array.tolist(), TypeError, "is of type list, expected a NumPy array")
    refused(name, argument, lambda array: array.astype(np.float16), TypeError, "has dtype float16, expected")
    refused(name, argument, lambda array: array.astype(object), TypeError, "has dtype object")
    if argument != "denied":
        swapped = arrays_of(CALLS[name]())[argument].dtype.newbyteorder()
        refused(name, argument, lambda array: array.astype(swapped), TypeError, "has dtype")
    refused(name, argument, lambda array: array[None], ValueError, "has . dimensions")
    refused(name, argument, lambda array: np.repeat(array, 2, -1)[..., ::2], ValueError, "is not C-contiguous")


def misaligned(array: np.ndarray) -> np.ndarray:
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    out = raw.view(array.dtype).reshape(array.shape)
    out[...] = array
    return out


@pytest.mark.parametrize(("name", "argument"), [pair for pair in ARRAYS if pair[1] != "denied"])
def test_a_misaligned_array_is_refused(name: str, argument: str) -> None:
    refused(name, argument, misaligned, ValueError, "is not C-contiguous and aligned")


@pytest.mark.parametrize(("name", "argument"), [pair for pair in ARRAYS if pair not in WRITTEN])
def test_arrays_that_are_only_read_may_be_read_only(name: str, argument: str) -> None:
    arguments = CALLS[name]()
    arrays_of(arguments)[argument].flags.writeable = False
    getattr(_core, name)(**arguments)


@pytest.mark.parametrize(("name", "argument"), WRITTEN)
def test_arrays_that_are_written_must_be_writable(name: str, argument: str) -> None:
    def freeze(array: np.ndarray) -> np.ndarray:
        array.flags.writeable = False
        return array

    refused(name, argument, freeze, ValueError, "is read-only")


def test_an_array_that_is_written_shares_no_memory() -> None:
    memory = np.ones(10, np.float32)
    arguments = with_array(CALLS["noised_rows"](), "matrix.data", memory[:4])
    with pytest.raises(ValueError, match="`out` shares memory"):
        _core.noised_rows(**arguments | {"out": memory[3:9].reshape(2, 3)})
    _core.noised_rows(**arguments | {"out": memory[4:].reshape(2, 3)})

    arguments = CALLS["top_k"]()
    memory = np.full((2, 2), -1, np.int32)
    with pytest.raises(ValueError, match="`values` shares memory"):
        _core.top_k(**arguments | {"items": memory, "values": memory.view(np.float32)})
    lists = np.full((2, 2), -np.inf, np.float32)
    with pytest.raises(ValueError, match="`values` shares memory"):
        _core.top_k(**arguments | {"scores": lists, "values": lists})


small = st.lists(st.integers(-3, 9), max_size=6)
GARBAGE = {
    np.dtype(np.int64): small,
    np.dtype(np.int32): small,
    np.dtype(np.float32): st.lists(st.floats(width=32), max_size=6),
    np.dtype(np.float64): st.lists(st.floats(), max_size=6),
    np.dtype(bool): st.lists(st.booleans(), max_size=6),
}


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
def test_no_array_of_the_right_type_does_worse_than_raise(name: str, data: st.DataObject) -> None:
    arguments = CALLS[name]()
    for argument, value in arrays_of(arguments).items():
        if data.draw(st.booleans()):
            drawn = np.array(data.draw(GARBAGE[value.dtype]), value.dtype)
            width = max(1, value.shape[-1] if value.ndim == 2 else 1)
            array = drawn[: len(drawn) // width * width].reshape(-1, *value.shape[1:])
            arguments = with_array(arguments, argument, array)
    # A panic is no Exception and fails the test.
    with contextlib.suppress(ValueError):
        getattr(_core, name)(**arguments)


@pytest.mark.parametrize(("name", "argument"), INTEGERS)
@pytest.mark.parametrize("value", [2**64, -1, -(2**63) - 1, 10**40])
def test_an_integer_out_of_range_is_named(name: str, argument: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"`{argument}` is {value}, expected an integer from 0 to 2"):
        getattr(_core, name)(**CALLS[name]() | {argument: value})


def test_an_integer_of_more_digits_than_python_writes_is_named() -> None:
    with pytest.raises(ValueError, match="`n_items` is an integer of too many digits, expected an integer from 0 to 2"):
        _core.negative_items(**CALLS["negative_items"]() | {"n_items": 10**5000})


@pytest.mark.parametrize(("name", "argument"), INTEGERS)
def test_what_is_no_integer_is_named(name: str, argument: str) -> None:
    for value, kind in [(1.5, "float"), ("1", "str"), (np.float64(1), "float64")]:
        with pytest.raises(TypeError, match=f"`{argument}` is of type {kind}, expected an integer"):
            getattr(_core, name)(**CALLS[name]() | {argument: value})
    # NumPy's are as good.
    getattr(_core, name)(**CALLS[name]() | {argument: np.int64(CALLS[name]()[argument])})


@pytest.mark.parametrize("name", ["ranking_metrics", "coverage"])
def test_integers_of_a_list_are_named(name: str) -> None:
    for value in (2**64, -(10**40)):
        with pytest.raises(ValueError, match=f"`k` is {value}, expected an integer"):
            getattr(_core, name)(**CALLS[name]() | {"k": [1, value]})
    with pytest.raises(TypeError, match="`k` is of type float"):
        getattr(_core, name)(**CALLS[name]() | {"k": [1.5]})


@pytest.mark.parametrize("shape", [(2**64, 3), (2, -1), (-(10**40), 3)])
def test_integers_of_a_shape_are_named(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"`shape\[.\]` is -?\d+, expected an integer"):
        _core.check_csr(matrix(), shape)


@pytest.mark.parametrize("value", [None, (1, 2), [np.zeros(1)] * 3, np.zeros(3)])
def test_a_matrix_is_a_tuple_of_three_arrays(value: object) -> None:
    for name, make in CALLS.items():
        for argument in {array.partition(".")[0] for array in arrays_of(make()) if "." in array}:
            with pytest.raises(TypeError, match=f"`{argument}` is no tuple of three arrays: indptr, indices and data"):
                getattr(_core, name)(**make() | {argument: value})


def test_other_python_threads_run_during_a_kernel() -> None:
    # One long history is weighed by one thread, however many there are.
    stamps = np.random.default_rng(0).random(3_000_000)
    ticks, stop = [], threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    other = threading.Thread(target=tick)
    other.start()
    begin = time.perf_counter()
    _core.time_weights(np.array([0, len(stamps)]), stamps, "power", 0, 1, 1.0)
    end = time.perf_counter()
    stop.set()
    other.join()
    during = sum(begin < at < end for at in ticks)
    assert during >= 3, f"{during} ticks in {end - begin:.3f} s"


LOAD_CORE = f"""
from importlib.util import module_from_spec, spec_from_file_location
import numpy as np

# By its file: the package itself would load torch first.
spec = spec_from_file_location("diffrec._core", {_core.__file__!r})
_core = module_from_spec(spec)
spec.loader.exec_module(_core)
"""

DIGEST = """
import hashlib

rng = np.random.default_rng(0)
users, items = 3000, 700
indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 40, users))])
indices = np.concatenate([np.sort(rng.choice(items, n, replace=False)) for n in np.diff(indptr)]).astype(np.int32)
data = rng.random(len(indices), np.float32)
matrix = indptr, indices, data
digest = hashlib.sha256()
out = np.ones((users, items), np.float32)
signal, spread = rng.random((2, users), np.float32)
noising = {"normalize": True, "dropout": 0.3, "seed": 5, "step": 6}
_core.noised_rows(matrix, rng.permutation(users), signal, spread, out, **noising)
digest.update(out)
stamps = rng.integers(0, 50, len(indices)).astype(np.float64)
for kind in ("linear", "exponential", "power"):
    for clock in (False, True):
        digest.update(_core.time_weights(indptr, stamps, kind, 0.1, 1, 7.0, clock=clock))
scores = rng.integers(0, 99, (users, items)).astype(np.float32) / 7
ranked, values = np.full((users, 20), -1, np.int32), np.full((users, 20), -np.inf, np.float32)
_core.top_k(scores, 0, matrix, rng.permutation(users), rng.random(items) < 0.1, ranked, values)
digest.update(ranked)
digest.update(values)
digest.update(_core.ranking_metrics(ranked, matrix, [1, 10, 20]))
digest.update(_core.negative_items(matrix, items, rng.integers(0, users, 9999), 3, 4))
for array in (*_core.nearest_items(matrix, data.copy(), items, 30), *_core.als_whiten(out[:, :70].copy(), 1.0)):
    digest.update(array)
factors = _core.als_whiten(out[:items, :70].copy(), 1.0)
for steps in (None, 2):
    solved, loss = _core.als_solve(matrix, *factors, 3.0, steps)
    digest.update(solved)
    digest.update(str(loss).encode())
_core.sparse_dense_product(matrix, out[:items].copy(), 0, block := np.empty((users, items), np.float32))
digest.update(block)
digest.update(_core.coverage(ranked, items, [1, 10, 20]))
digest.update(_core.pair_sums(matrix, data.copy(), items, ranked))
_core.sparse_product(matrix, (indptr[: items + 1], indices, data), 50, block := np.empty((users, 600), np.float32))
digest.update(block)
normal = np.empty((users, 90), np.float32)
_core.normal_rows(7, 8, np.arange(users), 5, normal)
digest.update(normal)
half = np.empty((users, items), np.uint16)
_core.noised_rows(matrix, np.arange(users), signal, spread, half, **noising)
digest.update(half)
baskets = np.concatenate([np.arange(n) // 2 for n in np.diff(indptr)]).astype(np.int32)
rows = rng.integers(0, users, 9999)
digest.update(cuts := _core.draw_cuts(indptr, baskets, rows, 0 * rows, 5, 3, 4))
scales = [("interactions", 2.0), ("seconds", 3.0), ("even", 0.0), ("often", 0.0), ("due", 0.0)]
past = _core.prefix_rows(indptr, indices, baskets, baskets * 1.5, items, rows, cuts, scales)
for array in (*past, *_core.next_items(indptr, indices, baskets, items, rows, cuts, 3)):
    digest.update(array)
points = rng.random((4000, 20), np.float32)
for balance in (None, 1.2):
    labels, centroids, inertia, iterations = _core.kmeans(points, 50, 2, 9, 0.0, balance, 5, None)
    digest.update(labels)
    digest.update(centroids)
    digest.update(str((inertia, iterations)).encode())
print(digest.hexdigest())
"""

FIRST_ERROR = {
    "`scores[700, 3]` is NaN": """
scores = np.ones((2000, 8), np.float32)
scores[[700, 701, 1400, 1999], 3] = np.nan
lists = np.full((2000, 2), -1, np.int32), np.full((2000, 2), -np.inf, np.float32)
nothing = np.array([0, 0]), np.empty(0, np.int32), np.empty(0, np.float32)
_core.top_k(scores, 0, nothing, np.zeros(2000, np.int64), None, *lists)
""",
    "`cuts[700]` is 5, expected a value in [0, 2)": """
cuts = np.ones(2000, np.int64)
cuts[[700, 701, 1400, 1999]] = 5, 6, 7, 8
histories = np.arange(2001), np.zeros(2000, np.int32), np.zeros(2000, np.int32)
_core.prefix_rows(*histories, np.zeros(2000), 1, np.arange(2000), cuts, [("even", 0.0)])
""",
    "`cuts[300]` is 9, expected a value in [0, 2)": """
cuts = np.ones(2000, np.int64)
cuts[300::400] = 9
histories = np.arange(2001), np.zeros(2000, np.int32), np.zeros(2000, np.int32)
_core.next_items(*histories, 1, np.arange(2000), cuts, 3)
""",
}


def printed(code: str, threads: int) -> str:
    """What the code prints in a process of its own, whose kernels use that many threads."""
    command = [sys.executable, "-c", LOAD_CORE + code]
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    digests = [printed(DIGEST, threads) for threads in (1, 2, 3)]
    assert len(digests[0]) == 65
    assert len(set(digests)) == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_of_several_errors_is_named(threads: int) -> None:
    calls = "".join(
        "try:\n" + textwrap.indent(call, "    ") + "except ValueError as error:\n    print(error)\n"
        for call in FIRST_ERROR.values()
    )
    assert printed(calls, threads).splitlines() == list(FIRST_ERROR)

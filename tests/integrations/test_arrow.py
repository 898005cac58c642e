"""Record batches of histories in, record batches of lists out."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import diffrec
from diffrec.integrations import BatchRecommender, recommend_batches, spark
from diffrec.integrations.arrow import kept
from support.lists import assert_same_lists, histories_of

TIMED: dict[str, Any] = {"time_weights": "linear", "dims": (8,), "epochs": 1, "holdout": 0, "progress": False}


@pytest.fixture(scope="module")
def data() -> diffrec.Interactions:
    world = diffrec.datasets.synthetic(users=90, items=40, seed=1)
    return diffrec.Interactions.from_csr(world.matrix, world.timestamps)


@pytest.fixture(scope="module")
def model(data: diffrec.Interactions) -> diffrec.Recommender:
    return diffrec.fit(data, variant="ease", l2=10.0)


def lists(model: diffrec.Recommender, table: pa.Table, size: int = 1000, **choice: Any) -> pa.Table:
    batches = table.to_batches(max_chunksize=size)
    return pa.Table.from_batches(recommend_batches(model, batches, **{"k": 6} | choice))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lists_are_those_of_one_call(data: diffrec.Interactions, model: diffrec.Recommender, size: int) -> None:
    assert_same_lists(lists(model, histories_of(data), size), model.recommend(data, k=6).to_frame("pyarrow"))


@pytest.mark.parametrize("variant", ["diffrec", "ials"])
def test_times_and_values_are_read(data: diffrec.Interactions, variant: str) -> None:
    settings: dict[str, Any] = TIMED if variant == "diffrec" else {"factors": 4, "progress": False}
    weighted = diffrec.Interactions.from_arrays(
        data.events.owners,
        data.events.items,
        data.events.times,
        1 + data.events.owners % 5,
        users=data.users,
        items=data.items,
    )
    model = diffrec.fit(weighted, variant=variant, **settings)
    found = lists(model, histories_of(weighted), 13, times="times", values="values")
    assert_same_lists(found, model.recommend(weighted, k=6).to_frame("pyarrow"))


def test_a_model_that_needs_times_says_so(data: diffrec.Interactions) -> None:
    model = diffrec.fit(data, variant="diffrec", **TIMED)
    with pytest.raises(ValueError, match="needs timestamps"):
        BatchRecommender(model)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()),
        pa.large_list(pa.large_string()),
        pa.list_(pa.dictionary(pa.int32(), pa.string())),
        pa.list_(pa.string(), 2),
    ],
)
def test_every_kind_of_list_is_read(kind: pa.DataType) -> None:
    bought = diffrec.Interactions.from_arrays([0, 0, 1, 1, 2], ["tea", "salt", "tea", "milk", "milk"])
    model = diffrec.fit(bought, variant="ease", l2=1.0)
    wanted = model.recommend(diffrec.Interactions.from_arrays([0, 0], ["tea", "salt"], items=bought.items), k=1).items
    entries = [["nothing", "nothing"], ["tea", "salt"], None, ["salt", "tea"]]
    if pa.types.is_dictionary(kind.value_type):
        flat = pa.array(["nothing", "nothing", "tea", "salt", "salt", "tea"]).dictionary_encode()
        column = pa.ListArray.from_arrays(pa.array([0, 2, 4, 4, 6], pa.int32()), flat)
    else:
        column = pa.array(entries, kind)
    batch = pa.RecordBatch.from_pydict({"user": pa.array([9, 8, 7, 6], pa.uint8()), "items": column}).slice(1)
    made = BatchRecommender(model, 1)(batch)
    assert made.schema == pa.schema(
        {"user": pa.uint8(), "item": pa.string(), "rank": pa.int64(), "score": pa.float32()}
    )
    assert made["user"].to_pylist() == [8, 7, 6]
    assert made["item"].to_pylist()[::2] == [wanted[0, 0]] * 2


def test_who_stands_twice_gets_two_lists_and_who_has_all_gets_none(model: diffrec.Recommender) -> None:
    everything = list(range(40))
    batch = pa.RecordBatch.from_pydict({"user": ["Ann", "Ann", "Bob"], "items": [[1], [1, 1, 2], everything]})
    made = BatchRecommender(model, 3)(batch).to_pydict()
    assert made["user"] == ["Ann"] * 6
    assert made["rank"] == [1, 2, 3] * 2
    assert not {1, 2} & set(made["item"][3:])


def test_times_may_have_any_unit(data: diffrec.Interactions) -> None:
    aged = diffrec.fit(data, variant="ease", half_life=3.0)
    moments = [[2_000_000_001, 1_000_000_007], [3_000_000_013, 5_000_000_021]]
    given = {"user": [1, 2], "items": [[1, 2], [3, 4]]}
    found = []
    seconds = [[one / 1e9 for one in row] for row in moments]
    for times in (pa.array(moments, pa.list_(pa.timestamp("ns", "UTC"))), pa.array(seconds)):
        batch = pa.RecordBatch.from_pydict(given | {"times": times})
        found.append(BatchRecommender(aged, 3, times="times")(batch))
    assert found[0].equals(found[1])


def test_a_worker_reads_what_was_saved_anew(data: diffrec.Interactions, tmp_path: Path) -> None:
    file = tmp_path / "model.diffrec"
    for variant in ("popularity", "ease"):
        diffrec.fit(data, variant=variant).save(file)
        assert spark._held(str(file)).variant == variant
    assert spark._held(str(file)) is spark._held(str(file))


def test_an_empty_batch_has_empty_lists(model: diffrec.Recommender) -> None:
    batch = pa.RecordBatch.from_pydict({"user": pa.array([], pa.int64()), "items": pa.array([], pa.list_(pa.int64()))})
    assert BatchRecommender(model)(batch).num_rows == 0


def test_the_choice_of_recommend_holds(data: diffrec.Interactions, model: diffrec.Recommender) -> None:
    choice: dict[str, Any] = {"exclude_seen": False, "deny": iter([3, 4])}
    found = lists(model, histories_of(data), 20, **choice)
    assert_same_lists(found, model.recommend(data, k=6, exclude_seen=False, deny=[3, 4]).to_frame("pyarrow"))


@pytest.mark.parametrize(
    ("columns", "choice", "error", "message"),
    [
        ({"items": [1]}, {}, ValueError, "must hold a list for each user, not int64"),
        ({"items": [[1.5]]}, {}, TypeError, "must hold lists of integers or text, not of double"),
        ({"items": [["1"]]}, {}, TypeError, "holds text, and the model's items are integers, such as 0"),
        ({"items": [[1, None]]}, {}, ValueError, "entry 1 of row 0 of a batch in column 'items' is null"),
        (
            {"items": [[1]]},
            {"items": "had"},
            ValueError,
            "items='had' is no column of the batch, which has 'user', 'items'",
        ),
        (
            {"items": [[1]], "at": [[1, 2]]},
            {"times": "at"},
            ValueError,
            "has 1 entries in column 'items' and 2 in 'at'",
        ),
        (
            {"items": [[1]], "of": [[-1.0]]},
            {"values": "of"},
            ValueError,
            "in column 'of' is -1.0: values must be finite float32 numbers, not negative$",
        ),
        ({"items": [[1, 99]]}, {"strict": True}, ValueError, "has the item 99, which the model does not know"),
        (
            {"items": [[1]]},
            {"deny": [99], "strict": True},
            ValueError,
            "deny: 1 of 1 items are ones that the model does not",
        ),
        ({"items": [[1]]}, {"allow": {0: [1]}}, TypeError, "allow must be item ids, the same for all users"),
        ({"items": [[1]]}, {"k": 0}, ValueError, "k must be at least 1"),
    ],
)
def test_bad_batches_are_refused(
    model: diffrec.Recommender, columns: dict[str, Any], choice: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(recommend_batches(model, [pa.RecordBatch.from_pydict({"user": ["Ann"], **columns})], **choice))


def test_rows_that_are_refused_are_named(model: diffrec.Recommender) -> None:
    batch = pa.RecordBatch.from_pydict({"user": [0, 1, 2], "items": [[1, 2], [], [None]]})
    with pytest.raises(ValueError, match="entry 0 of row 2 of a batch"):
        BatchRecommender(model)(batch)
    nan = float("nan")
    batch = pa.RecordBatch.from_pydict(
        {"user": [0, 1, 2], "items": [[1, 2], [], [3, 4]], "at": [[1.0, 2.0], [], [3.0, nan]]}
    )
    for name, said in (("times", "nan, no finite number"), ("values", "nan: values must be finite")):
        with pytest.raises(ValueError, match=f"^entry 1 of row 2 of a batch in column 'at' is {said}"):
            BatchRecommender(model, **{name: "at"})(batch)  # type: ignore[arg-type]


def test_a_choice_that_workers_share_is_read_more_than_once() -> None:
    choice = kept({"deny": iter([3, 4]), "strict": True, "allow": {"ann": [1]}})
    assert choice == {"deny": [3, 4], "strict": True, "allow": {"ann": [1]}}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"exclude_seen": "no"}, "exclude_seen"),
        ({"strict": "no"}, "strict"),
        ({"novelty": 0.5}, "EASE cannot be guided"),
        ({"diversity": -1}, "diversity must be at least 0"),
        ({"steer": {"nope": 1}}, "steer names 'nope'"),
        ({"now": 5}, "now is for models that count ages by the clock"),
        ({"deny": 1.5}, "deny must hold item ids, got 1.5"),
        ({"allow": ["tea"]}, "allow names no item that the model knows"),
    ],
)
def test_choices_are_checked_before_any_batch(model: diffrec.Recommender, choice: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        BatchRecommender(model, 2, **choice)


def test_one_item_may_be_named_alone() -> None:
    bought = diffrec.Interactions.from_arrays([0, 0, 1, 1, 2], ["tea", "salt", "tea", "milk", "milk"])
    model = diffrec.fit(bought, variant="popularity")
    batch = pa.RecordBatch.from_pydict({"user": [9], "items": [["salt"]]})
    assert BatchRecommender(model, 3, deny="tea")(batch)["item"].to_pylist() == ["milk"]
    assert BatchRecommender(model, 3, allow="tea")(batch)["item"].to_pylist() == ["tea"]


@pytest.mark.parametrize("nothing", [pa.nulls(2), pa.array([[], None])])
def test_a_batch_in_which_nobody_has_a_history_is_ranked(model: diffrec.Recommender, nothing: pa.Array) -> None:
    batch = pa.RecordBatch.from_pydict({"user": ["Ann", "Bob"], "items": nothing, "times": nothing})
    found = BatchRecommender(model, 2, times="times", values="times")(batch)
    assert found["user"].to_pylist() == ["Ann"] * 2 + ["Bob"] * 2

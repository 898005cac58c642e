"""Exported recommenders as files: ONNX, and programs of ``torch.export``."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffrec import _core
from diffrec.checks import needed
from diffrec.data._replace import named_by_content, replacing_with_companions
from diffrec.export.agreement import require_agreement
from diffrec.export.graph import INPUTS, OUTPUTS, program, served, tracing
from diffrec.export.vector_files import INDICES, ids_beside
from diffrec.recommenders import Recommender
from diffrec.recommenders.settings import plain_setting

# Raised whenever a reader could misunderstand a file.
FORMAT_VERSION = 1
# Names of what a file says about itself.
DESCRIPTION, ITEM_IDS = "diffrec", "item_ids"
# torch.export's files hold further files.
_DESCRIPTION_FILE, _ITEM_IDS_FILE = f"{DESCRIPTION}.json", f"{ITEM_IDS}.json"


def onnx(
    model: Recommender,
    path: str | Path,
    k: int = 20,
    *,
    exclude_seen: bool = True,
    check: bool = True,
    external_data: bool | None = None,
) -> None:
    """Export a recommender to an ONNX file.

    The graph takes ``history`` int64 (batch, length), item rows with -1 where there is none, oldest first, and
    ``weights`` float32 (batch, length) or (batch, length, views), both as ``diffrec.export.inputs`` makes them. It
    gives ``items`` int64 (batch, k) and ``scores`` float32 (batch, k): score descending, then item row ascending, -1
    and -inf where there are fewer candidates. Its metadata has the ids of the item rows as JSON, under ``item_ids``,
    and under ``diffrec`` the settings and what inputs and outputs mean.

    Parameters
    ----------
    model : Recommender
        Fitted; DiffRec in every form, and all rivals but LightGCN and TIFU-KNN, which score by the users they know.
    path : str or Path
        Where to write; ends in ``.onnx``. The file is complete or what it was before.
    k : int
        Length of the lists.
    exclude_seen : bool
        Leave out the items of a history.
    check : bool
        Validate the file and compare the lists of a few training histories with ``model.recommend``: scores to 1e-4,
        and the same items. Nothing is written where they differ; without onnxruntime a warning says that no lists are
        compared.
    external_data : bool, optional
        Put the weights into a second file beside it, which the graph names: as itself, with a checksum and ``.data``
        behind, so that no graph finds another's weights. By default where there are more than one ONNX file holds.

    Raises
    ------
    TypeError
        When the recommender cannot be exported: its scores are no function of a history alone, or random.
    ImportError
        Without ONNX (``pip install 'diffrec[onnx]'``), or with a torch before 2.10.
    RuntimeError
        When what was exported does not rank as the model does.

    Examples
    --------
    >>> import diffrec, tempfile
    >>> model = diffrec.fit(np.array([[1, 1, 0], [0, 1, 1]]), variant="popularity")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     diffrec.export.onnx(model, Path(folder) / "popular.onnx", k=2)
    ...     diffrec.export.item_ids(Path(folder) / "popular.onnx")
    array([0, 1, 2])
    """
    path = _required_suffix(path, ".onnx")
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        raise ImportError('exporting to ONNX needs onnx and onnxscript: pip install "diffrec[onnx]"')
    module = served(model, k, exclude_seen=exclude_seen, ordered_topk=True)
    with tracing(module) as (example, sizes), _quiet():
        graph = torch.onnx.export(
            module,
            example,
            dynamic_shapes=sizes,
            input_names=INPUTS,
            output_names=OUTPUTS,
            dynamo=True,
            verbose=False,
        )
    assert graph is not None
    graph.model.metadata_props.update({DESCRIPTION: _description(model, k, exclude_seen), ITEM_IDS: _ids(model)})
    with replacing_with_companions(path) as temporary:
        graph.save(temporary, external_data=external_data)
        _name_weights(temporary)
        if check:
            _check_onnx(model, temporary, k, exclude_seen=exclude_seen)


def pt2(model: Recommender, path: str | Path, k: int = 20, *, exclude_seen: bool = True, check: bool = True) -> None:
    """Export a recommender to a file of ``torch.export``.

    ``torch.export.load`` reads it back as what ``diffrec.export.program`` gives; see ``diffrec.export.onnx`` for
    inputs, outputs and arguments. The item ids and the description are its extra files ``item_ids.json`` and
    ``diffrec.json``.

    Raises
    ------
    TypeError
        When the recommender cannot be exported: its scores are no function of a history alone, or random.
    RuntimeError
        When what was exported does not rank as the model does.

    Examples
    --------
    >>> import diffrec, tempfile
    >>> model = diffrec.fit(np.array([[1, 1, 0], [0, 1, 1]]), variant="popularity")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     diffrec.export.pt2(model, Path(folder) / "popular.pt2", k=1)
    ...     serve = torch.export.load(Path(folder) / "popular.pt2").module()
    >>> serve(torch.tensor([[1, 2]]), torch.ones(1, 2))
    (tensor([[0]]), tensor([[1.]]))
    """
    path = _required_suffix(path, ".pt2")
    exported = program(model, k, exclude_seen=exclude_seen)
    texts = {_DESCRIPTION_FILE: _description(model, k, exclude_seen), _ITEM_IDS_FILE: _ids(model)}
    with replacing_with_companions(path) as temporary:
        torch.export.save(exported, temporary, extra_files=texts)
        if check:
            serve = torch.export.load(temporary).module()

            def run(history: NDArray[np.int64], weights: NDArray[np.float32]) -> Any:
                return [out.numpy() for out in serve(torch.from_numpy(history), torch.from_numpy(weights))]

            require_agreement(model, run, k, exclude_seen=exclude_seen)


def item_ids(path: str | Path) -> NDArray[Any]:
    """Read the ids of an exported model's item rows, or of the rows of an index of vectors.

    Parameters
    ----------
    path : str or Path
        A file that ``onnx`` or ``pt2`` wrote, or an index that ``vectors`` did.

    Returns
    -------
    ndarray
        (items,), integers or strings: ``item_ids(path)[items]`` names what is recommended, where ``items`` is not -1.
        Of an index, those whose vectors it holds, in order.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file holds no item ids, or those beside an index are of another.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if path.suffix in INDICES:
        return ids_beside(path)
    if path.suffix == ".pt2":
        texts = {_ITEM_IDS_FILE: ""}
        torch.export.load(path, extra_files=texts)
        text = texts[_ITEM_IDS_FILE]
    else:
        onnx = needed("onnx", "reading an ONNX file needs onnx", "diffrec[onnx]")
        properties = onnx.load(path, load_external_data=False).metadata_props
        text = next((entry.value for entry in properties if entry.key == ITEM_IDS), "")
    if not text:
        raise ValueError(f"{path} holds no item ids: diffrec did not write it")
    return np.array(json.loads(text))


def _required_suffix(path: str | Path, suffix: str) -> Path:
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"path must end in {suffix}, got {str(path)!r}")
    return path


def _ids(model: Recommender) -> str:
    return json.dumps(model.train_.items.ids.tolist())


def _description(model: Recommender, k: int, exclude_seen: bool) -> str:
    reading = model._reading()
    views = reading.views
    axes = "(batch, length)" if views is None else f"(batch, length, {views})"
    return json.dumps(
        {
            "format": FORMAT_VERSION,
            "version": _core.__version__,
            "class": type(model).__name__,
            "variant": model.variant,
            "settings": {name: plain_setting(value) for name, value in model.settings.values(saved_only=True).items()},
            "items": model.train_.shape[1],
            "k": k,
            "exclude_seen": exclude_seen,
            "inputs": {
                "history": "int64 (batch, length): rows of items, each once, oldest first, -1 where there is none",
                "weights": f"float32 {axes}: {reading.meaning}; anything where there is no item",
            },
            "outputs": {
                "items": f"int64 (batch, {k}): rows of items, score descending, then row ascending; -1 for none",
                "scores": f"float32 (batch, {k}): -inf where there is no item",
            },
        }
    )


def _name_weights(path: Path) -> None:
    """Name the file of a graph's weights, where there is one, by what it holds, and have the graph say so."""
    beside = path.with_name(f"{path.name}.data")
    if not beside.exists():
        return
    import onnx

    graph = onnx.load(path, load_external_data=False)
    named = named_by_content(beside, path).name
    places = [
        place for weights in graph.graph.initializer for place in weights.external_data if place.key == "location"
    ]
    for place in places:
        place.value = named
    path.write_bytes(graph.SerializeToString())


def _check_onnx(model: Recommender, path: Path, k: int, *, exclude_seen: bool) -> None:
    from onnx import checker

    checker.check_model(str(path), full_check=True)
    if find_spec("onnxruntime") is None:
        warnings.warn(
            f"onnxruntime is not installed, so the lists of {path.name} are not compared with the model's: "
            "pip install onnxruntime, or check=False if that is meant",
            stacklevel=3,
        )
        return
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    require_agreement(
        model,
        lambda history, weights: session.run(OUTPUTS, dict(zip(INPUTS, (history, weights), strict=True))),
        k,
        exclude_seen=exclude_seen,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the exporter says about packages and axes that nobody asked for."""
    registry = logging.getLogger("torch.onnx")
    level = registry.level
    try:
        registry.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # Both inputs have the same two axes, which is meant.
            warnings.filterwarnings("ignore", message=r"# The axis name")
            yield
    finally:
        registry.setLevel(level)

"""Recommenders for serving: as an ONNX graph, or as a program of ``torch.export``.

Histories go in, each one's best items and their scores come out; the reverse chain, the anchor and the ranking are
inside. A file serves without diffrec: all it takes besides is the ids of the item rows, which it holds.

>>> import diffrec, numpy
>>> model = diffrec.fit(numpy.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]]), variant="ease", l2=1.0)
>>> model.recommend([3], k=1).items
array([[1]])
>>> history, weights = diffrec.export.inputs(model, [3])
>>> history, weights
(array([[0]]), array([[1.]], dtype=float32))
"""

from diffrec.export.files import item_ids, onnx, pt2
from diffrec.export.graph import program
from diffrec.export.inputs import Inputs, inputs
from diffrec.export.vector_files import vectors

__all__ = ["Inputs", "inputs", "item_ids", "onnx", "program", "pt2", "vectors"]

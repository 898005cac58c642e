"""Recommendations where the data is: one function over Arrow record batches, and the engines that call it.

``recommend_batches`` takes histories and gives lists, both as Arrow record batches. ``diffrec.integrations.ray`` hands
it the batches of a Ray Data set, ``diffrec.integrations.spark`` those of a Spark data frame.

>>> import diffrec, numpy, pyarrow
>>> model = diffrec.fit(numpy.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]]), variant="ease", l2=1.0)
>>> histories = pyarrow.RecordBatch.from_pydict({"user": ["Ann", "Bob"], "items": [[0], [1, 2]]})
>>> lists = next(recommend_batches(model, [histories], k=1))
>>> [column.to_pylist() for column in lists.columns[:3]]
[['Ann', 'Bob'], [1, 0], [1, 1]]
"""

from diffrec.integrations.arrow import BatchRecommender, recommend_batches

__all__ = ["BatchRecommender", "recommend_batches"]

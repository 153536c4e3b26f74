"""Answering a version's warm-up requests as TensorFlow Serving would.

`python -m training.serve_once DIR FILE` is a program of its own, so that a version is tried where nothing of
the job that wrote it is in memory. FILE gets a PredictionLog for each request, in their order, with the
answer in it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from training.quiet import import_tensorflow
from wire import messages, tensors

WARM_UP = Path("assets.extra", "tf_serving_warmup_requests")


def answer(directory: Path, file: Path) -> None:
    """Load the SavedModel in `directory` and write the answered warm-up requests into `file`."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(file)) as writer:
        for log in _answered(directory):
            writer.write(log.SerializeToString())


def read(file: Path) -> Iterator[messages.PredictionLog]:
    """Read the records of a file of PredictionLogs."""
    import tensorflow as tf

    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        yield messages.PredictionLog.FromString(record)


def _answered(directory: Path) -> Iterator[messages.PredictionLog]:
    import tensorflow as tf

    logs = list(read(directory / WARM_UP))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], str(directory)).signature_def
        for log in logs:
            request, response = log.predict_log.request, log.predict_log.response
            signature = signatures[request.model_spec.signature_name]
            fed = {
                signature.inputs[name].name: tensors.to_array(proto) for name, proto in request.inputs.items()
            }
            fetched = {name: info.name for name, info in signature.outputs.items()}
            for name, array in session.run(fetched, fed).items():
                tensors.fill(response.outputs[name], array, as_content=False)
            yield log


if __name__ == "__main__":
    import_tensorflow()
    answer(Path(sys.argv[1]), Path(sys.argv[2]))

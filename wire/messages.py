"""TensorFlow Serving's messages, in a descriptor pool of their own.

The full names (`tensorflow.TensorProto`, `tensorflow.serving.PredictRequest`, ...) and so the bytes are
TensorFlow's. The pool is not protobuf's default one, where tensorflow-serving-api registers the same names:
both live in one process, imported in either order. Every message of `protos/` is an attribute of this module;
messages.pyi, written with the descriptor set by `python -m wire.compile_protos`, types them.
"""

from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper


def _load(pool: descriptor_pool.DescriptorPool, path: Path) -> dict[str, object]:
    """Add the files of the descriptor set at `path` to `pool`; the classes of ours by name."""
    files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file
    classes: dict[str, object] = {}
    for file in files:
        pool.Add(file)
    for file in files:
        if file.package.startswith("google."):
            continue
        for name, message in pool.FindFileByName(file.name).message_types_by_name.items():
            classes[name] = message_factory.GetMessageClass(message)
    return classes


POOL = descriptor_pool.DescriptorPool()
globals().update(_load(POOL, Path(__file__).with_name("descriptors.binpb")))
DataType = enum_type_wrapper.EnumTypeWrapper(POOL.FindEnumTypeByName("tensorflow.DataType"))

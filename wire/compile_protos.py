"""Compile `protos/` into what `wire.messages` loads: `python -m wire.compile_protos`.

Needs grpcio-tools (the extra `dev`); what it writes is committed, so that nothing else does.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

HERE = Path(__file__).parent
DESCRIPTORS = HERE / "descriptors.binpb"
STUB = HERE / "messages.pyi"

_STUB_HEAD = """\
# Written by wire/compile_protos.py from wire/protos; do not edit.
# ruff: noqa
# fmt: off

from collections.abc import Iterable, Mapping

from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.containers import (
    MessageMap,
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
    ScalarMap,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue, Int64Value, StringValue

POOL: DescriptorPool
DataType: EnumTypeWrapper
"""

_SCALARS = {
    FieldDescriptorProto.TYPE_STRING: "str",
    FieldDescriptorProto.TYPE_BYTES: "bytes",
    FieldDescriptorProto.TYPE_BOOL: "bool",
    FieldDescriptorProto.TYPE_FLOAT: "float",
    FieldDescriptorProto.TYPE_DOUBLE: "float",
}


def descriptor_set() -> bytes:
    """The serialized FileDescriptorSet of all the .proto files and what they import."""
    protos = HERE / "protos"
    names = sorted(path.name for path in protos.glob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "set")
        # A process of its own: the compiler crashes in one that has loaded TensorFlow.
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={protos}", "--include_imports"]
        subprocess.run([*command, f"--descriptor_set_out={out}", *names], check=True)  # noqa: S603
        return out.read_bytes()


def stub(descriptors: bytes) -> str:
    """The text of messages.pyi for a serialized descriptor set."""
    files = FileDescriptorSet.FromString(descriptors).file
    ours = [file for file in files if not file.package.startswith("google.")]
    classes = [_class(message, "") for file in ours for message in file.message_type]
    return "\n".join([_STUB_HEAD, *classes])


def _class(message: DescriptorProto, indent: str) -> str:
    inner = indent + "    "
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    lines = [f"{indent}class {message.name}(Message):"]
    lines += [
        _class(nested, inner).rstrip("\n") for nested in message.nested_type if nested.name not in entries
    ]
    lines += [f"{inner}{value.name}: int" for enum in message.enum_type for value in enum.value]
    fields = [_field(field, entries) for field in message.field]
    lines += [f"{inner}{line}" for attribute, _ in fields for line in attribute]
    arguments = "".join(f", {argument} | None = ..." for _, argument in fields)
    lines += [f"{inner}def __init__(self{', *' if fields else ''}{arguments}) -> None: ..."]
    return "\n".join(lines) + "\n"


def _field(field: FieldDescriptorProto, entries: dict[str, DescriptorProto]) -> tuple[list[str], str]:
    """The attribute's lines and the constructor's argument of one field."""
    kind = _python_type(field)
    entry = entries.get(field.type_name.rpartition(".")[2])
    if entry is not None:
        key, value = (_python_type(part) for part in entry.field)
        container = "ScalarMap" if not entry.field[1].type_name else "MessageMap"
        return _property(field.name, f"{container}[{key}, {value}]"), f"{field.name}: Mapping[{key}, {value}]"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        container = "RepeatedCompositeFieldContainer" if field.type_name else "RepeatedScalarFieldContainer"
        return _property(field.name, f"{container}[{kind}]"), f"{field.name}: Iterable[{kind}]"
    if field.type == FieldDescriptorProto.TYPE_MESSAGE:
        return _property(field.name, kind), f"{field.name}: {kind}"
    return [f"{field.name}: {kind}"], f"{field.name}: {kind}"


def _property(name: str, kind: str) -> list[str]:
    return ["@property", f"def {name}(self) -> {kind}: ..."]


def _python_type(field: FieldDescriptorProto) -> str:
    """A field's type in Python: a message's class by its name inside its package, an enum as int."""
    if field.type == FieldDescriptorProto.TYPE_MESSAGE:
        parts = field.type_name.strip(".").split(".")
        return ".".join(part for part in parts if part[0].isupper())
    return _SCALARS.get(field.type, "int")


if __name__ == "__main__":
    compiled = descriptor_set()
    DESCRIPTORS.write_bytes(compiled)
    STUB.write_text(stub(compiled))

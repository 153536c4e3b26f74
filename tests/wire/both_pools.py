"""Run as a script by test_messages: hold wire's messages against tensorflow-serving-api's, in one process.

The argument says which is imported first. Every message is filled in every field, from the descriptor, so
that a wrong number, name or type anywhere shows in the bytes or in the text.
"""

import gc
import importlib
import sys

from google.protobuf import descriptor_pool, message_factory, text_format
from google.protobuf.descriptor import FieldDescriptor

APIS = ("predict", "prediction_log", "get_model_metadata", "get_model_status", "model_management")


def import_serving_api() -> None:
    for name in APIS:
        importlib.import_module(f"tensorflow_serving.apis.{name}_pb2")


def fill(message: object, choice: int, depth: int = 0) -> None:
    """Set every field but those of a oneof, of which the one at `choice` (modulo) is set."""
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if oneof is not None and field.index != oneof.fields[choice % len(oneof.fields)].index:
            continue
        if field.message_type is None:
            value = scalar(field)
            if field.is_repeated:
                getattr(message, field.name).extend([value, value])
            else:
                setattr(message, field.name, value)
        elif field.message_type.GetOptions().map_entry:
            entries = getattr(message, field.name)
            inner = field.message_type.fields_by_name["value"]
            for key in ("b", "a"):
                if inner.message_type is None:
                    entries[key] = scalar(inner)
                else:
                    fill(entries[key], choice, depth + 1)
        else:
            target = getattr(message, field.name)
            inner = target.add() if field.is_repeated else target
            inner.SetInParent()
            fill(inner, choice, depth + 1)


def scalar(field: FieldDescriptor) -> object:
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    kinds = {
        FieldDescriptor.CPPTYPE_STRING: "é" if field.type == FieldDescriptor.TYPE_STRING else b"\xff",
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_FLOAT: 0.5,
        FieldDescriptor.CPPTYPE_DOUBLE: 0.1,
    }
    return kinds.get(field.cpp_type, 300)


def compare(ours: type) -> None:
    """The same bytes and the same text, through the other's class, for each choice of each oneof."""
    name = ours.DESCRIPTOR.full_name
    theirs = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    for choice in range(6):
        message = ours()
        fill(message, choice)
        data = message.SerializeToString(deterministic=True)
        twin = theirs.FromString(data)
        assert twin.SerializeToString(deterministic=True) == data, name
        assert text_format.MessageToString(twin) == text_format.MessageToString(message), name
        assert ours.FromString(data) == message, name


def main(first: str) -> int:
    if first == "api":
        import_serving_api()
    from wire import messages

    import_serving_api()
    # tensorflow-serving-api has no Python for the files that only a server reads.
    unpublished = {"BatchingParameters", "MonitoringConfig", "PrometheusConfig", "SSLConfig"}
    classes = [value for value in vars(messages).values() if hasattr(value, "SerializeToString")]
    compared = [ours for ours in classes if ours.__name__ not in unpublished]
    for ours in compared:
        compare(ours)
    return len(compared)


if __name__ == "__main__":
    # To look for garbage among what TensorFlow is made of would take longer than all else here.
    gc.disable()
    print(main(sys.argv[1]))
    gc.freeze()

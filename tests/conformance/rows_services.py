"""Which services and methods answer, health, reflection, and the limits of a message."""

from __future__ import annotations

from .table import PREDICTION, Grpc, floats, outputs, predict, spec, tensor

HEALTH = "grpc.health.v1.Health/Check"
WIDE = "w" * 5_000_000
"""More than the 4 MiB that gRPC takes unless told otherwise."""


def _health(row_id: str, service: str, code: str = "OK", **options: object) -> Grpc:
    return Grpc(
        id=row_id, rule="8", call=HEALTH, request=f'service: "{service}"', code=code,
        printed=("status: SERVING",) if code == "OK" else (), **options,
    )  # fmt: skip


ROWS = (
    Grpc(
        id="session-service-is-not-registered",
        rule="1.1",
        call="tensorflow.serving.SessionService/SessionRun",
        code="UNIMPLEMENTED",
    ),
    Grpc(
        id="unknown-method-of-a-known-service",
        rule="1.1",
        call=f"{PREDICTION}/Guess",
        code="UNIMPLEMENTED",
    ),
    Grpc(
        id="methods-are-case-sensitive",
        rule="1.1",
        call=f"{PREDICTION}/predict",
        code="UNIMPLEMENTED",
    ),
    Grpc(
        id="package-is-part-of-the-path",
        rule="1.1",
        call="PredictionService/Predict",
        code="UNIMPLEMENTED",
    ),
    Grpc(
        id="classify-is-registered",
        rule="1.1",
        call=f"{PREDICTION}/Classify",
        code="INVALID_ARGUMENT",
        words=("Missing ModelSpec",),
    ),
    Grpc(
        id="regress-is-registered",
        rule="1.1",
        call=f"{PREDICTION}/Regress",
        code="INVALID_ARGUMENT",
        words=("Missing ModelSpec",),
    ),
    Grpc(
        id="reflection-lists-the-services",
        rule="1.1",
        call="grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request='list_services: ""',
        printed=(PREDICTION,),
        confirmed=False,
        note="gRPC's own registration when linked in",
    ),
    _health("trap23-health-of-prediction-service-without-package", "PredictionService"),
    _health("trap23-health-of-model-service-without-package", "ModelService"),
    _health("health-of-the-server-as-a-whole", ""),
    _health("health-of-an-unknown-name", "nope", "NOT_FOUND", confirmed=False),
    _health(
        "trap23-health-of-the-full-name-is-unknown",
        PREDICTION,
        "NOT_FOUND",
        confirmed=False,
        note="follows from the names that are set; gRPC's behaviour",
    ),
    Grpc(
        id="health-of-a-model-by-its-name",
        rule="8",
        call=HEALTH,
        request='service: "half_plus_two"',
        printed=("status: SERVING",),
        real=False,
        note="section 9, 5: TensorFlow Serving knows its two services only",
    ),
    Grpc(
        id="health-is-there-without-the-flag",
        rule="8",
        call=HEALTH,
        printed=("status: SERVING",),
        server="flags",
        real=False,
        note="section 9, 5: TensorFlow Serving has the service only with the flag",
    ),
    Grpc(
        id="message-over-the-usual-limit-of-4-mib-both-ways",
        rule="8",
        call=f"{PREDICTION}/Predict",
        request=predict(spec("echo", signature="string"), x=tensor("STRING", [1], [WIDE])),
        answer=outputs(spec("echo", version=1, signature="string"), y=tensor("STRING", [1], [WIDE])),
    ),
    Grpc(
        id="long-input-name-and-many-dimensions",
        rule="8",
        call=f"{PREDICTION}/Predict",
        request=predict(spec("echo", signature="float32"), x=tensor("FLOAT", [1] * 8, [2.0])),
        answer=outputs(spec("echo", version=1, signature="float32"), y=tensor("FLOAT", [1] * 8, [2.0])),
    ),
    Grpc(
        id="undecodable-request",
        rule="1.1",
        call=f"{PREDICTION}/Predict",
        request=b"\xff\xff\xff",
        code="INTERNAL",
        confirmed=False,
        note="gRPC's own deserialization; C++ answers INTERNAL `Unable to parse request`",
    ),
    Grpc(
        id="answer-after-all-that",
        rule="1.1",
        call=f"{PREDICTION}/Predict",
        request=predict(spec(version=1), x=floats(2)),
        answer=outputs(spec(version=1, signature="serving_default"), y=floats(3)),
    ),
)

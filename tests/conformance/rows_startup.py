"""What ends the server before it serves, what does not, and what its first answer is."""

from __future__ import annotations

from typing import Any

from .table import MODEL, PREDICTION, Ends, First, Grpc, floats, predict, spec

GIVEN = "{store}/given.config"
OWN_TEXT = "TensorFlow Serving says it in words of its own, after `Failed to start server. Error: `"


def _ends(row_id: str, rule: str, *arguments: str, printed: tuple[str, ...], **options: Any) -> Ends:
    return Ends(id=row_id, rule=rule, server="none", arguments=arguments, printed=printed, **options)


def _config_file(row_id: str, text: str, *printed: str) -> Ends:
    return _ends(row_id, "3.3", f"--model_config_file={GIVEN}", printed=printed, file=text)


STATUS = f"model_spec {{ {spec('default')} }}"

ROWS = (
    _ends(
        "version",
        "3.2",
        "--version",
        printed=("TensorFlow ModelServer: ", "TensorFlow Library: "),
        well=True,
    ),
    _ends(
        "value-that-does-not-parse",
        "3.1",
        "--model_config_file={store}/models.config",
        "--port=many",
        printed=("port", "many"),
        real=False,
        note="TensorFlow Serving prints its usage",
    ),
    _ends(
        "batching-parameters-without-batching",
        "3.2",
        "--model_config_file={store}/models.config",
        "--batching_parameters_file={store}/batching.config",
        printed=("batching_parameters_file", "enable_batching"),
        real=False,
        note=OWN_TEXT,
    ),
    _ends(
        "session-parallelism-set-thrice",
        "3.2",
        "--model_config_file={store}/models.config",
        "--tensorflow_session_parallelism=1",
        "--tensorflow_intra_op_parallelism=1",
        "--tensorflow_inter_op_parallelism=1",
        printed=("tensorflow_session_parallelism",),
        real=False,
        note=OWN_TEXT,
    ),
    _config_file(
        "file-with-a-syntax-error", "model_config_list {", "Invalid protobuf file: '{store}/given.config'"
    ),
    _ends(
        "trap15-rest-port-that-is-taken",
        "3.2",
        "--model_config_file={store}/models.config",
        "--rest_api_port={taken}",
        printed=("--rest_api_port={taken}",),
        real=False,
        note="TensorFlow Serving logs an error and serves gRPC alone",
    ),
    _ends(
        "no-batch-threads",
        "7.1",
        "--model_config_file={store}/models.config",
        "--enable_batching",
        f"--batching_parameters_file={GIVEN}",
        printed=("num_batch_threads",),
        file="num_batch_threads { value: 0 }",
    ),
    First(
        id="trap25-first-answer-is-of-a-loaded-model",
        rule="4.1",
        server="single",
        call=Grpc(
            id="",
            rule="1.8",
            call=f"{MODEL}/GetModelStatus",
            request=STATUS,
            answer="model_version_status { version: 1 state: AVAILABLE status { } }",
        ),
    ),
    Grpc(
        id="one-model-by-path-is-called-default-on-a-unix-socket",
        rule="3.2",
        server="single",
        call=f"{PREDICTION}/Predict",
        request=predict(spec("default"), x=floats(1)),
        printed=("float_val: 2.5",),
    ),
)

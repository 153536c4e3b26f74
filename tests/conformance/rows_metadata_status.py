"""Metadata and status, over gRPC and in JSON, and the configs that a reload refuses."""

from __future__ import annotations

from typing import Any

from .table import MODEL, PREDICTION, Grpc, Rest, spec

OK = {"error_code": "OK", "error_message": ""}
BOTH_VERSIONS = {
    "model_version_status": [
        {"version": "2", "state": "AVAILABLE", "status": OK},
        {"version": "1", "state": "AVAILABLE", "status": OK},
    ]
}
AVAILABLE = "model_version_status { version: %d state: AVAILABLE status { } }"


def _metadata(row_id: str, request: str, rule: str = "1.7", **options: Any) -> Grpc:
    return Grpc(id=row_id, rule=rule, call=f"{PREDICTION}/GetModelMetadata", request=request, **options)


def _status(row_id: str, request: str, **options: Any) -> Grpc:
    return Grpc(id=row_id, rule="1.8", call=f"{MODEL}/GetModelStatus", request=request, **options)


FIELD = "metadata_field: 'signature_def'"
SCALAR_METADATA = {
    "model_spec": {"name": "scalar", "signature_name": "", "version": "1"},
    "metadata": {
        "signature_def": {
            "signature_def": {
                "serving_default": {
                    "inputs": {
                        "x": {
                            "dtype": "DT_FLOAT",
                            "tensor_shape": {"dim": [], "unknown_rank": False},
                            "name": "Placeholder:0",
                        }
                    },
                    "outputs": {
                        "y": {
                            "dtype": "DT_FLOAT",
                            "tensor_shape": {"dim": [], "unknown_rank": False},
                            "name": "mul:0",
                        }
                    },
                    "method_name": "tensorflow/serving/predict",
                    "defaults": {},
                }
            }
        }
    },
}

METADATA = (
    _metadata(
        "metadata-of-the-latest",
        f"model_spec {{ {spec()} }} {FIELD}",
        printed=(
            "model_spec {",
            'name: "half_plus_two"',
            "value: 2",
            "metadata {",
            'key: "signature_def"',
            "[type.googleapis.com/tensorflow.serving.SignatureDefMap]",
            'key: "regress_x_to_y"',
        ),
        not_printed=("signature_name",),
    ),
    _metadata(
        "metadata-of-a-label-answers-with-the-number-only",
        f"model_spec {{ {spec(label='stable')} }} {FIELD}",
        printed=("version { value: 1 }",),
        not_printed=("version_label", "signature_name"),
    ),
    _metadata(
        "metadata-field-twice",
        f"model_spec {{ {spec()} }} {FIELD} {FIELD}",
        printed=('key: "signature_def"',),
    ),
    _metadata(
        "metadata-with-internal-signatures",
        f"model_spec {{ {spec('module')} }} {FIELD}",
        printed=('key: "__saved_model_init_op"', 'key: "serving_default"'),
    ),
    _metadata(
        "metadata-has-defaults",
        f"model_spec {{ {spec('sums')} }} {FIELD}",
        printed=("defaults {", 'key: "b"'),
        not_printed=("signature_name",),
    ),
    _metadata("metadata-without-model-spec", FIELD, code="INVALID_ARGUMENT", words=("Missing ModelSpec",)),
    _metadata(
        "metadata-without-field",
        f"model_spec {{ {spec()} }}",
        code="INVALID_ARGUMENT",
        words=("GetModelMetadataRequest must specify at least one metadata_field",),
    ),
    _metadata(
        "metadata-unknown-field",
        f"model_spec {{ {spec()} }} {FIELD} metadata_field: 'nope'",
        code="INVALID_ARGUMENT",
        words=("Metadata field nope is not supported",),
    ),
    _metadata(
        "metadata-fields-are-checked-before-the-model",
        "model_spec { name: 'nope' } metadata_field: 'nope'",
        code="INVALID_ARGUMENT",
        words=("Metadata field nope is not supported",),
    ),
    _metadata(
        "metadata-fields-are-checked-before-the-name",
        "model_spec {} metadata_field: 'nope'",
        code="INVALID_ARGUMENT",
        words=("Metadata field nope is not supported",),
    ),
    _metadata(
        "metadata-without-name",
        f"model_spec {{}} {FIELD}",
        code="INVALID_ARGUMENT",
        words=("ModelSpec has no name specified.",),
    ),
    _metadata(
        "metadata-unknown-model",
        f"model_spec {{ {spec('nope')} }} {FIELD}",
        code="NOT_FOUND",
        words=("Servable not found for request: Latest(nope)",),
    ),
    _metadata(
        "metadata-unknown-version",
        f"model_spec {{ {spec(version=9)} }} {FIELD}",
        code="NOT_FOUND",
        words=("Servable not found for request: Specific(half_plus_two, 9)",),
    ),
    _metadata(
        "trap2-metadata-unknown-label",
        f"model_spec {{ {spec(label='nope')} }} {FIELD}",
        code="INVALID_ARGUMENT",
        words=("Unrecognized servable version label: nope",),
    ),
)

STATUS = (
    _status(
        "status-newest-version-first",
        f"model_spec {{ {spec()} }}",
        answer=AVAILABLE % 2 + AVAILABLE % 1,
    ),
    _status("status-of-one-version", f"model_spec {{ {spec(version=1)} }}", answer=AVAILABLE % 1),
    _status(
        "status-unknown-version",
        f"model_spec {{ {spec(version=7)} }}",
        code="NOT_FOUND",
        words=("Could not find version 7 of model half_plus_two",),
    ),
    _status(
        "trap1-status-of-version-0",
        "model_spec { name: 'half_plus_two' version {} }",
        code="NOT_FOUND",
        words=("Could not find version 0 of model half_plus_two",),
    ),
    _status(
        "status-unknown-model",
        "model_spec { name: 'nope' }",
        code="NOT_FOUND",
        words=("Could not find any versions of model nope",),
    ),
    _status(
        "status-empty-name",
        "model_spec {}",
        code="NOT_FOUND",
        words=("Could not find any versions of model ",),
    ),
    _status("status-without-model-spec", "", code="INVALID_ARGUMENT", words=("Missing ModelSpec",)),
    _status(
        "trap4-status-ignores-the-label",
        f"model_spec {{ {spec(label='stable')} }}",
        answer=AVAILABLE % 2 + AVAILABLE % 1,
    ),
    _status(
        "trap4-status-ignores-an-unknown-label",
        f"model_spec {{ {spec(label='nope')} }}",
        answer=AVAILABLE % 2 + AVAILABLE % 1,
    ),
    _status(
        "status-ignores-the-signature",
        f"model_spec {{ {spec(version=1, signature='nope')} }}",
        answer=AVAILABLE % 1,
    ),
)


def _get(row_id: str, url: str, rule: str = "2.9", status: int = 200, **options: Any) -> Rest:
    return Rest(id=row_id, rule=rule, method="GET", path=f"/v1/models/{url}", status=status, **options)


REST = (
    _get("rest-status-of-all-versions", "half_plus_two", json=BOTH_VERSIONS),
    _get(
        "rest-status-of-one-version",
        "half_plus_two/versions/1",
        json={"model_version_status": BOTH_VERSIONS["model_version_status"][1:]},
    ),
    _get("trap14-versions-are-strings", "half_plus_two/versions/2", text=('"version": "2"',)),
    _get(
        "rest-status-version-with-leading-zeros",
        "half_plus_two/versions/0001",
        json={"model_version_status": BOTH_VERSIONS["model_version_status"][1:]},
    ),
    _get(
        "rest-status-unknown-model",
        "nope",
        status=404,
        error=("Could not find any versions of model nope",),
    ),
    _get(
        "rest-status-unknown-version",
        "half_plus_two/versions/9",
        status=404,
        error=("Could not find version 9 of model half_plus_two",),
    ),
    _get("trap4-rest-status-ignores-the-label", "half_plus_two/labels/stable", "2.1", json=BOTH_VERSIONS),
    _get("trap4-rest-status-unknown-label", "half_plus_two/labels/nope", "2.1", json=BOTH_VERSIONS),
    _get("trap14-metadata-doubles-signature-def", "scalar/metadata", json=SCALAR_METADATA),
    _get(
        "trap14-metadata-dimension-sizes-are-strings",
        "matrix/versions/1/metadata",
        text=('"size": "-1"', '"size": "3"', '"unknown_rank": false'),
    ),
    _get(
        "metadata-of-unknown-rank",
        "echo/metadata",
        text=('"unknown_rank": true', '"DT_BFLOAT16"', '"DT_COMPLEX128"', '"DT_STRING"'),
    ),
    _get(
        "rest-metadata-of-a-version",
        "half_plus_two/versions/1/metadata",
        text=('"version": "1"', '"signature_name": ""'),
    ),
    _get(
        "rest-metadata-of-a-label",
        "half_plus_two/labels/stable/metadata",
        "2.1",
        text=('"version": "1"',),
        not_text=("version_label",),
    ),
    _get(
        "trap2-rest-metadata-unknown-label",
        "half_plus_two/labels/nope/metadata",
        "2.1",
        400,
        error=("Unrecognized servable version label: nope",),
    ),
    _get(
        "trap2-rest-metadata-unknown-version",
        "half_plus_two/versions/9/metadata",
        status=404,
        error=("Servable not found for request: Specific(half_plus_two, 9)",),
    ),
    _get(
        "rest-metadata-unknown-model",
        "nope/metadata",
        status=404,
        error=("Servable not found for request: Latest(nope)",),
    ),
)


def _reload(row_id: str, config: str, *words: str, rule: str = "3.3", **options: Any) -> Grpc:
    """None of these configs gets as far as changing anything."""
    return Grpc(
        id=row_id,
        rule=rule,
        call=f"{MODEL}/HandleReloadConfigRequest",
        request=f"config {{ {config} }}" if config else "",
        code="INVALID_ARGUMENT",
        words=words,
        **options,
    )


def _config(fields: str) -> str:
    return f"model_config_list {{ config {{ {fields} }} }}"


NOT_SUPPORTED = "ServerModelConfig type not supported by HandleReloadConfigRequest."
PLATFORM = "model_platform: 'tensorflow'"

RELOADS = (
    _reload("reload-without-config", "", NOT_SUPPORTED, rule="1.9"),
    _reload(
        "reload-of-a-custom-config",
        "custom_model_config { type_url: 'type.googleapis.com/tensorflow.serving.ModelSpec' }",
        NOT_SUPPORTED,
        rule="1.9",
    ),
    _reload(
        "config-with-one-name-twice",
        f"model_config_list {{ config {{ name: 'm' base_path: '/x' {PLATFORM} }}"
        f" config {{ name: 'm' base_path: '/y' {PLATFORM} }} }}",
        "Illegal to list model m multiple times in config list",
    ),
    _reload(
        "config-with-a-relative-path",
        _config(f"name: 'm' base_path: 'relative/path' {PLATFORM}"),
        "Expected model m to have an absolute path or URI; got base_path()=relative/path",
    ),
    _reload(
        "config-with-an-empty-path",
        _config(f"name: 'm' {PLATFORM}"),
        "Expected model m to have an absolute path or URI; got base_path()=",
    ),
    _reload(
        "config-without-platform",
        _config("name: 'm' base_path: '/x'"),
        "Illegal setting neither ModelServerConfig::model_type (deprecated) nor"
        " ModelServerConfig::model_platform",
        "m",
    ),
    _reload(
        "config-with-platform-and-type",
        _config(f"name: 'm' base_path: '/x' model_type: TENSORFLOW {PLATFORM}"),
    ),
    _reload(
        "config-with-an-unknown-platform",
        _config("name: 'm' base_path: '/x' model_platform: 'pytorch'"),
        "pytorch",
    ),
    _status(
        "refused-reloads-changed-nothing",
        f"model_spec {{ {spec(version=2)} }}",
        answer=AVAILABLE % 2,
    ),
)

ROWS = METADATA + STATUS + REST + RELOADS

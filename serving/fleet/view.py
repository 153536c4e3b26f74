"""What requests see of all models at one moment, and configurations, as they go from process to process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.config_files import ModelConfig, RequestLogging
from serving.policy import All, Latest, Specific, VersionPolicy
from serving.states import State, VersionStatus
from wire.errors import Code


@dataclass(frozen=True)
class ModelView:
    """A model: the states of its versions, newest first; of those in service, the key of each; its labels."""

    statuses: tuple[VersionStatus, ...] = ()
    keys: Mapping[int, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """All models by name, and whether the server as a whole is ready.

    `configs` are in force; `own` were read last from the server's own options and files.
    """

    models: Mapping[str, ModelView] = field(default_factory=dict)
    ready: bool = False
    configs: tuple[ModelConfig, ...] = ()
    own: tuple[ModelConfig, ...] = ()


def view_document(view: View) -> dict[str, Any]:
    """A view as JSON has it."""
    models = [
        {
            "name": name,
            "statuses": [[each.version, each.state, each.code, each.message] for each in model.statuses],
            "keys": list(model.keys.items()),
            "labels": dict(model.labels),
        }
        for name, model in view.models.items()
    ]
    return {
        "ready": view.ready,
        "models": models,
        "configs": configs_document(view.configs),
        "own": configs_document(view.own),
    }


def view_from(document: Mapping[str, Any]) -> View:
    """The view that a document of `view_document` holds."""
    return View(
        {
            model["name"]: ModelView(
                tuple(
                    VersionStatus(version, State(state), Code(code), message)
                    for version, state, code, message in model["statuses"]
                ),
                dict(model["keys"]),
                model["labels"],
            )
            for model in document["models"]
        },
        document["ready"],
        configs_from(document["configs"]),
        configs_from(document["own"]),
    )


def configs_document(configs: Sequence[ModelConfig]) -> list[dict[str, Any]]:
    """Configurations as JSON has them."""
    return [
        {
            "name": config.name,
            "base_path": str(config.base_path),
            "policy": _policy_document(config.policy),
            "labels": dict(config.labels),
            "logging": [config.logging.prefix, config.logging.rate] if config.logging else None,
        }
        for config in configs
    ]


def configs_from(documents: Sequence[Mapping[str, Any]]) -> tuple[ModelConfig, ...]:
    """The configurations that documents of `configs_document` hold."""
    return tuple(_config_from(each) for each in documents)


def _config_from(document: Mapping[str, Any]) -> ModelConfig:
    return ModelConfig(
        document["name"],
        Path(document["base_path"]),
        _policy_from(document["policy"]),
        dict(document["labels"]),
        RequestLogging(*document["logging"]) if document["logging"] else None,
    )


def _policy_document(policy: VersionPolicy) -> dict[str, Any]:
    match policy:
        case Latest(count):
            return {"latest": count}
        case All():
            return {"all": True}
        case Specific(versions):
            return {"specific": list(versions)}


def _policy_from(document: Mapping[str, Any]) -> VersionPolicy:
    if "latest" in document:
        return Latest(document["latest"])
    return Specific(tuple(document["specific"])) if "specific" in document else All()

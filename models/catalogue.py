"""The models that there are: every module of this package with a constant `MODEL`, under the module's name.

A new model is one new file: nothing is registered. Asking for one model imports that model's module only.
"""

import importlib
import pkgutil
import re

import models
from models.model import Model

CONSTANT = re.compile(r"^MODEL\b\s*[:=]", re.MULTILINE)


class UnknownModelError(LookupError):
    """No model of the catalogue has that name; the message lists those that there are."""

    exit_code = 2


def names() -> tuple[str, ...]:
    """Return the names of all models, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(models.__path__) if _is_model(module)))


def find(name: str) -> Model:
    """Return the model of that name, or raise UnknownModelError."""
    known = names()
    if name not in known:
        raise UnknownModelError(f"there is no model {name!r}; the models are {', '.join(known)}")
    model = importlib.import_module(f"models.{name}").MODEL
    if not isinstance(model, Model) or model.name != name:
        raise TypeError(
            f"MODEL of models/{name}.py is {model!r:.80}; expected a Model with the name {name!r}"
        )
    return model


def _is_model(module: pkgutil.ModuleInfo) -> bool:
    """Tell whether a module defines MODEL, from its source: importing every module to see would cost more."""
    spec = module.module_finder.find_spec(module.name, None)
    source = getattr(spec and spec.loader, "get_source", lambda _: None)(module.name)
    return source is not None and CONSTANT.search(source) is not None

"""Finding a loss by the name that a person types: path/to/file.py:loss, or module:loss."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from limbeck import own
from limbeck.errors import LimbeckError, unknown
from limbeck.objectives import Batch, Featured, Outputs, Taught, total

_EXAMPLE = "Type `limbeck check path/to/file.py:loss` or `limbeck check package.module:loss`."


def find(name: str) -> Callable[..., Any]:
    """The loss of that name. The file or module is run: name only what you trust.

    Without ":loss", the only public function of the file. A class of losses is made with its defaults.

    Raises:
        LimbeckError: no such file, module or name; the file cannot be run; what it names is not callable.
    """
    where, _, wanted = name.rpartition(":") if ":" in name and not name.endswith(".py") else (name, "", "")
    if not where:
        raise LimbeckError(f"{name!r} names no file or module before the colon. {_EXAMPLE}")
    module = own.run_file(Path(where), "checks", _EXAMPLE) if where.endswith(".py") else _imported(where)
    here = {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__
    }
    if not wanted:
        functions = [key for key, value in here.items() if inspect.isfunction(value)]
        if len(functions) != 1:
            many = f"has {len(functions)} public functions: {', '.join(functions)}" if functions else "has no function"
            raise LimbeckError(f"{where} {many}. Type `limbeck check {where}:NAME` to say which is the loss.")
        wanted = functions[0]
    if not hasattr(module, wanted):
        others = [key for key, value in vars(module).items() if not key.startswith("_") and inspect.isfunction(value)]
        raise unknown(f"name in {where}:", wanted, here or others)
    loss = getattr(module, wanted)
    if not callable(loss):
        raise LimbeckError(
            f"{name} is {type(loss).__name__}, which cannot be called. It must be a function of (student logits, "
            f"teacher logits[, labels]). Functions there: {', '.join(here) or 'none'}."
        )
    return _made(loss, name) if inspect.isclass(loss) else loss  # type: ignore[no-any-return]


def _made(kind: type, name: str) -> Callable[..., Any]:
    try:
        needed = [key for key, value in inspect.signature(kind).parameters.items() if own.required(value)]
    except (TypeError, ValueError):
        needed = []
    options = {key: 4.0 for key in needed if key in ("T", "temperature", "tau", "temp")}
    rest = [key for key in needed if key not in options]
    if rest:
        raise LimbeckError(
            f"{name} is a class that needs {', '.join(rest)}. Put `loss = {kind.__name__}(...)` into the file and "
            "check that name."
        )
    with own.running(name, None):
        made = kind(**options)
    if isinstance(made, Taught):
        return _on_logits(made, name)
    if not callable(made) or (isinstance(made, nn.Module) and type(made).forward is nn.Module.forward):
        raise LimbeckError(f"{name} is a class whose objects cannot be called. Name a function or an nn.Module.")
    return made  # type: ignore[no-any-return]


def _on_logits(objective: Taught, name: str) -> Callable[..., Any]:
    """The teacher's term of an objective, as a function of logits and labels."""
    if isinstance(objective, Featured):
        raise LimbeckError(
            f"{name} compares features, and a check is of losses on logits. `limbeck run` tries it before it trains."
        )
    module = objective.with_(labels=0).build()

    def loss(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        late = torch.full((), 1000.0, device=student.device)  # whatever grows at the start is grown
        batch = Batch(
            torch.arange(len(labels)), student.new_zeros(len(labels), 3, 1, 1), labels, late, late, late / late
        )
        return total(module(Outputs(student), Outputs(teacher), batch))

    return loss


def _imported(name: str) -> ModuleType:
    with own.beside(Path.cwd()):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                raise LimbeckError(f"there is no module {error.name!r} to take {name!r} from. {_EXAMPLE}") from error
            raise LimbeckError(f"module {name} cannot be imported: {error}. Install what it needs.") from error
        except Exception as error:
            raise LimbeckError(f"module {name} cannot be imported: {type(error).__name__}: {error}") from error

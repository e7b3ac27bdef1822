"""Finding a loss by the name that a person types: path/to/file.py:loss, or module:loss."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.errors import LimbeckError, nearest, unknown
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
    module = _from_file(Path(where)) if where.endswith(".py") else _imported(where)
    own = {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__
    }
    if not wanted:
        functions = [key for key, value in own.items() if inspect.isfunction(value)]
        if len(functions) != 1:
            many = f"has {len(functions)} public functions: {', '.join(functions)}" if functions else "has no function"
            raise LimbeckError(f"{where} {many}. Type `limbeck check {where}:NAME` to say which is the loss.")
        wanted = functions[0]
    if not hasattr(module, wanted):
        others = [key for key, value in vars(module).items() if not key.startswith("_") and inspect.isfunction(value)]
        raise unknown(f"name in {where}:", wanted, own or others)
    loss = getattr(module, wanted)
    if not callable(loss):
        raise LimbeckError(
            f"{name} is {type(loss).__name__}, which cannot be called. It must be a function of (student logits, "
            f"teacher logits[, labels]). Functions there: {', '.join(own) or 'none'}."
        )
    return _made(loss, name) if inspect.isclass(loss) else loss  # type: ignore[no-any-return]


def _made(kind: type, name: str) -> Callable[..., Any]:
    try:
        needed = [key for key, value in inspect.signature(kind).parameters.items() if _required(value)]
    except (TypeError, ValueError):
        needed = []
    options = {key: 4.0 for key in needed if key in ("T", "temperature", "tau", "temp")}
    rest = [key for key in needed if key not in options]
    if rest:
        raise LimbeckError(
            f"{name} is a class that needs {', '.join(rest)}. Put `loss = {kind.__name__}(...)` into the file and "
            "check that name."
        )
    with _blaming(name, None):
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


def _required(parameter: inspect.Parameter) -> bool:
    varies = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not varies


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        others = [str(other) for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
        near = nearest(str(path), others)
        hint = f" Did you mean {near}?" if near else ""
        raise LimbeckError(f"file {path} does not exist.{hint} {_EXAMPLE}")
    spec = importlib.util.spec_from_file_location(f"limbeck checks {path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look there
    with _blaming(str(path), path), _beside(path.resolve().parent):
        spec.loader.exec_module(module)
    return module


def _imported(name: str) -> ModuleType:
    with _beside(Path.cwd()):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                raise LimbeckError(f"there is no module {error.name!r} to take {name!r} from. {_EXAMPLE}") from error
            raise LimbeckError(f"module {name} cannot be imported: {error}. Install what it needs.") from error
        except Exception as error:
            raise LimbeckError(f"module {name} cannot be imported: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Lets a file import what lies beside it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


@contextlib.contextmanager
def _blaming(name: str, path: Path | None) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if path and f.filename == str(path.resolve())
        ]
        where = f", line {lines[-1]}," if lines else ""
        raise LimbeckError(f"{name}{where} cannot be run: {type(error).__name__}: {error}") from error

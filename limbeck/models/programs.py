"""Networks in files of the user's own: what a function of a Python file returns, exported programs, TorchScript."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limbeck import own
from limbeck.errors import LimbeckError, unknown
from limbeck.models.names import FORMS

_SHOWN = 4  # functions of a file, in a message


class Program(nn.Module):
    """An exported program or TorchScript as a module like others: it has no modes, so that it is told nothing of them.

    Its inside cannot be listened to, edited or trained.

    Args:
        module: answers as in eval mode.
        name: what it is called.
    """

    def __init__(self, module: nn.Module, name: str = "this program") -> None:
        super().__init__()
        self.module, self.name = module, name
        self.training = False

    def forward(self, images: Tensor) -> Any:
        return self.module(images)

    def train(self, mode: bool = True) -> Program:
        self.training = mode
        return self


def refuse_to_look_into(network: nn.Module) -> None:
    """Refuses to listen to what is inside of a program, or of a network that has one in it."""
    program = next((module for module in network.modules() if isinstance(module, Program)), None)
    if program is not None:
        raise LimbeckError(
            f"{program.name} is a program that nobody can look into, and this objective needs features. Choose one on "
            "logits (--objective kd), or give the network itself, as path/to/file.py:FUNCTION."
        )


def refuse_missing_function(name: str) -> None:
    """Refuses a Python file without the function in it that returns a network.

    Raises:
        LimbeckError: the name is such a file's.
    """
    path = Path(name)
    if path.suffix == ".py":
        own.refuse_absent(path, f"Give {FORMS}.")
        raise LimbeckError(f"{name} is a file. Give the function of it that returns the network: {with_function(path)}")


def with_function(path: Path) -> str:
    """How functions of a file are typed; it is not run to find out which there are."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        body = []
    names = [each.name for each in body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
    few = [f"{path}:{name}" for name in names[:_SHOWN]] + ["..."] * (len(names) > _SHOWN)
    return ", ".join(few) or f"{path}:FUNCTION"


def refuse_absent(path: Path) -> None:
    """Refuses a program's file that is not there."""
    if not path.is_file():
        raise LimbeckError(f"{path} does not exist. Give {FORMS}.")


def program(path: Path) -> nn.Module:
    """The exported program or the TorchScript in a file.

    Raises:
        LimbeckError: there is none.
    """
    refuse_absent(path)
    return Program(_exported(path) if path.suffix == ".pt2" else _scripted(path), path.name)


def function(path: Path, name: str) -> Callable[..., object]:
    """A function of a file, which is run for it.

    Raises:
        LimbeckError: there is no such file or function, or the file cannot be run.
    """
    module = own.module_of(path.resolve(), "evaluates", f"Give {FORMS}.") if path.is_file() else None
    module = module or own.run_file(path, "evaluates", f"Give {FORMS}.")  # which says that there is none
    given = getattr(module, name, None)
    if not callable(given):
        there = [key for key, value in vars(module).items() if callable(value) and value.__module__ == module.__name__]
        raise unknown(f"function in {path}:", name, there)
    return given


def returned(path: Path, name: str, num_classes: int) -> nn.Module:
    """What a function of a file returns; it is given ``num_classes`` where it takes that.

    Raises:
        LimbeckError: there is no such file or function, it cannot be called so, or gives no network.
    """
    given = function(path, name)
    try:
        parameters = dict(inspect.signature(given).parameters)
    except (TypeError, ValueError):
        parameters = {}
    classes = {"num_classes": num_classes} if "num_classes" in parameters else {}
    needed = [key for key, value in parameters.items() if own.required(value) and key not in classes]
    if needed:
        raise LimbeckError(
            f"{path}:{name} needs {', '.join(needed)}, but it is called without arguments (or with num_classes). Write "
            "a function that takes none and returns the network."
        )
    with own.running(f"{path}:{name}", path), own.beside(path.resolve().parent):
        network = given(**classes)
    if not isinstance(network, nn.Module):
        hint = " Load it into the network first." if isinstance(network, Mapping) else ""
        raise LimbeckError(f"{path}:{name} returned {type(network).__name__}, not a torch.nn.Module.{hint}")
    return network


def _exported(path: Path) -> nn.Module:
    try:
        return torch.export.load(path).module()
    except Exception as error:  # whatever a damaged archive leads to
        raise LimbeckError(f"{path} is no exported program (torch.export.save): {own.said(error)}.") from error


def _scripted(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls TorchScript deprecated; whoever has such a file knows
            return torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-any-return, no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise LimbeckError(
            f"{path} is no TorchScript ({own.said(error)}). If it is a state dictionary, give the network that it "
            f"belongs to, for example path/to/file.py:FUNCTION, and type --weights {path}"
        ) from error

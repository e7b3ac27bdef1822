"""Networks that limbeck did not make, by the names that people type for them.

    path/to/file.py:FUNCTION   what the function returns, which is called without arguments
    FILE.pt2                   an exported program (torch.export.save)
    FILE.pt, FILE.ts           TorchScript (torch.jit.save)
    torchvision/NAME           torchvision's, with as many classes as there are
    timm/NAME                  timm's, where that is installed

All of them run the code that they are made of: name only what you trust.
"""

from __future__ import annotations

import inspect
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from limbeck import files, own
from limbeck.errors import LimbeckError, nearest, unknown
from limbeck.models.normalised import Normalised
from limbeck.spec import Spec

FORMS = "path/to/file.py:FUNCTION, FILE.pt2, FILE.pt (TorchScript), torchvision/NAME or timm/NAME"
_LIBRARIES = ("torchvision/", "timm/")
_PROGRAMS = (".pt2", ".pt", ".ts")


def is_source(name: str) -> bool:
    """Whether a name is of a form that `Source` takes."""
    where, colon, _ = name.rpartition(":")
    return name.startswith(_LIBRARIES) or bool(colon and where.endswith(".py")) or Path(name).suffix in _PROGRAMS


class Source(Spec):
    """Someone else's network: where it comes from, its weights, and how it normalises the pictures it is given."""

    name: str = Field(description=f"One of {FORMS}.")
    weights: Path | None = Field(
        None, description="A state dictionary for it, as safetensors or as torch.save writes it; it runs no code."
    )
    mean: tuple[float, ...] | None = Field(
        None, description="A channel's mean in [0, 1]; none: pictures as they are, but timm's own for timm's."
    )
    std: tuple[float, ...] | None = Field(None, description="A channel's deviation; none: as for mean.")

    @model_validator(mode="after")
    def _can_be(self) -> Source:
        if not is_source(self.name):
            raise ValueError(f"this names no network; give {FORMS}")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together; give both, or none")
        if self.weights and Path(self.name).suffix in _PROGRAMS:
            raise ValueError("such a file has its weights in it; leave weights away")
        return self

    @property
    def weightless(self) -> bool:
        """Whether it would start from random weights."""
        return self.weights is None and self.name.startswith(_LIBRARIES)

    def title(self) -> str:
        """What tables call it."""
        return self.name if self.name.startswith(_LIBRARIES) else Path(self.name).name

    def build(self, num_classes: int) -> nn.Module:
        """The network, on the CPU; it takes float pictures (B, C, H, W) in [0, 1].

        Args:
            num_classes: of a network of a library; others have what they have, which `refuse_what_does_not_answer`
                looks at.

        Raises:
            LimbeckError: there is no such file, function or name, it gives no network, the library is missing, or the
                weights are of another network.
        """
        network, (mean, std) = self._bare(num_classes), (self.mean, self.std)
        if self.weights is not None:
            _load(network, self.weights, self.name, num_classes)
        if mean is None and self.name.startswith("timm/"):
            cfg = getattr(network, "default_cfg", {})
            mean, std = cfg.get("mean"), cfg.get("std")
        return network.eval() if mean is None or std is None else Normalised(network, mean, std).eval()

    def _bare(self, num_classes: int) -> nn.Module:
        library, _, name = self.name.partition("/")
        if self.name.startswith(_LIBRARIES):
            return (_torchvision if library == "torchvision" else _timm)(name, num_classes)
        if Path(self.name).suffix in _PROGRAMS:
            path = Path(self.name)
            if not path.is_file():
                raise LimbeckError(f"{path} does not exist. Give {FORMS}.")
            return _exported(path) if path.suffix == ".pt2" else _scripted(path)
        where, _, function = self.name.rpartition(":")
        return _returned(Path(where), function)


class Program(nn.Module):
    """An exported program as a module like others: it has no modes, so that it is told nothing of them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.training = False

    def forward(self, images: Tensor) -> Any:
        return self.module(images)

    def train(self, mode: bool = True) -> Program:
        self.training = mode
        return self


def refuse_what_does_not_answer(
    name: str, network: Callable[[Tensor], Any], pictures: Tensor, classes: tuple[str, int]
) -> str | None:
    """Asks a network about a few pictures, and refuses one whose answers are no logits of these classes.

    Args:
        name: what the network is called.
        network: on the pictures' device, in eval mode.
        pictures: float (B, C, H, W), three or more.
        classes: the name of a data set, and the number of its classes.

    Returns:
        what a reader of its figures has to know, if there is something.

    Raises:
        LimbeckError: it cannot look at one of them or at all together, or does not answer with finite (B, classes).
    """
    shape = " x ".join(map(str, pictures.shape[2:]))
    asked = f"{name} was asked about pictures of {shape}, floats (B, {pictures.shape[1]}, H, W) in [0, 1],"
    for some in (pictures[:1], pictures):
        try:
            with torch.no_grad():
                logits = network(some)
        except LimbeckError:
            raise
        except Exception as error:
            many = f"{len(some)} at once" if len(some) > 1 else "one"
            raise LimbeckError(
                f"{asked} {many}, and failed: {own.said(error)}. "
                + (
                    "It has to take any number at once; export it with a dynamic batch dimension."
                    if len(some) > 1
                    else "If it needs others, write a function that returns a module which makes them of these, and "
                    "give path/to/file.py:FUNCTION."
                )
            ) from error
        if not isinstance(logits, Tensor):
            raise LimbeckError(f"{asked} and answered with {type(logits).__name__}, not with a tensor of logits.")
        if logits.ndim != 2 or len(logits) != len(some):
            raise LimbeckError(
                f"{asked} {len(some)} at once, and answered with {tuple(logits.shape)}: it must be (B, classes)."
            )
        if logits.shape[1] != classes[1]:
            raise LimbeckError(
                f"{name} answers with {logits.shape[1]} classes, but {classes[0]} has {classes[1]}. "
                "Choose another data set or network."
            )
    if not logits.isfinite().all():
        raise LimbeckError(f"{asked} and answered with numbers that are not finite. Are its weights loaded?")
    if (logits >= 0).all() and torch.allclose(logits.float().sum(1), torch.ones(len(logits), device=logits.device)):
        return (
            f"{name} answers with probabilities where logits are expected: its NLL, ECE, Brier score and KL are those "
            "of another softmax over them. Leave its last softmax away."
        )
    return None


def _returned(path: Path, name: str) -> nn.Module:
    """What a function of a file returns."""
    module = own.run_file(path, "evaluates", f"Give {FORMS}.")
    given = getattr(module, name, None)
    if not callable(given):
        there = [key for key, value in vars(module).items() if callable(value) and value.__module__ == module.__name__]
        raise unknown(f"function in {path}:", name, there)
    try:
        needed = [key for key, value in inspect.signature(given).parameters.items() if _required(value)]
    except (TypeError, ValueError):
        needed = []
    if needed:
        raise LimbeckError(
            f"{path}:{name} needs {', '.join(needed)}, but it is called without arguments. Write a function that takes "
            "none and returns the network."
        )
    with own.running(f"{path}:{name}", path), own.beside(path.resolve().parent):
        network = given()
    if not isinstance(network, nn.Module):
        hint = " Load it into the network first." if isinstance(network, Mapping) else ""
        raise LimbeckError(f"{path}:{name} returned {type(network).__name__}, not a torch.nn.Module.{hint}")
    return network


def _required(parameter: inspect.Parameter) -> bool:
    varies = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not varies


def _exported(path: Path) -> nn.Module:
    try:
        return Program(torch.export.load(path).module())
    except Exception as error:  # whatever a damaged archive leads to
        raise LimbeckError(f"{path} is no exported program (torch.export.save): {own.said(error)}.") from error


def _scripted(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls TorchScript deprecated; whoever has such a file knows
            return torch.jit.load(path, map_location="cpu")  # type: ignore[no-any-return, no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise LimbeckError(
            f"{path} is no TorchScript ({own.said(error)}). If it is a state dictionary, give the network that it "
            f"belongs to, for example path/to/file.py:FUNCTION, and type --weights {path}"
        ) from error


def _torchvision(name: str, num_classes: int) -> nn.Module:
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        raise _unknown(f"torchvision/{name}", names, "torchvision.models.list_models(module=torchvision.models)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of initial weights that take long
        network: nn.Module = models.get_model(name, weights=None, num_classes=num_classes)
    return network


def _timm(name: str, num_classes: int) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise LimbeckError(f"timm/{name} needs timm ({error}). Type `pip install timm`.") from error
    if not timm.is_model(name):
        raise _unknown(f"timm/{name}", timm.list_models(), "timm.list_models()")
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes)
    return network


def _unknown(name: str, names: Sequence[str], listing: str) -> LimbeckError:
    """What is said of a name that a library has not; it has too many to show them all."""
    library, _, wanted = name.partition("/")
    near = nearest(wanted, names)
    hint = f" Did you mean {library}/{near}?" if near else ""
    return LimbeckError(f"there is no {name}.{hint} {listing} gives the names, in Python.")


def _load(network: nn.Module, path: Path, name: str, num_classes: int) -> None:
    """Loads a state dictionary, whatever it is wrapped in, into a network."""
    tensors, own_tensors = _tensors(path), network.state_dict()
    for what, some in (
        ("lacks", own_tensors.keys() - tensors.keys()),
        ("has, which the network has not,", tensors.keys() - own_tensors.keys()),
    ):
        if some:
            few = ", ".join(sorted(some)[:3]) + (", ..." if len(some) > 3 else "")
            raise LimbeckError(f"{path} does not fit {name}: it {what} {few} ({len(some)} of {len(own_tensors)}).")
    for key, tensor in tensors.items():
        if tensor.shape != own_tensors[key].shape:
            raise LimbeckError(
                f"{path} does not fit {name} with {num_classes} classes: {key} is {tuple(tensor.shape)} there, and "
                f"{tuple(own_tensors[key].shape)} in the network."
            )
    network.load_state_dict(tensors)


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise LimbeckError(f"--weights {path}: this file does not exist.")
    if path.suffix == ".safetensors":
        return files.read_tensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise LimbeckError(
            f"--weights {path} cannot be read as a state dictionary ({own.said(error)}). Write one with "
            "torch.save(network.state_dict(), FILE), or as safetensors."
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(map(torch.is_tensor, content.values())):
        raise LimbeckError(f"--weights {path} holds no state dictionary, but {type(content).__name__}.")
    wrapped = all(str(key).startswith("module.") for key in content)  # as DataParallel writes it
    return {str(key).removeprefix("module.") if wrapped else str(key): value for key, value in content.items()}

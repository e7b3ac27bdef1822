"""Networks of torchvision and timm, with what those know of them: input size, normalisation, pretrained weights."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from limbeck import own
from limbeck.errors import LimbeckError, nearest


class Made(NamedTuple):
    """A network, and what whoever made it says of it.

    Attributes:
        network: takes normalised pictures.
        size: height and width of the pictures that it wants; None: any.
        mean, std: a number a channel that it wants pictures normalised by; None: nothing is said.
        tensors: weights that are yet to be loaded into it.
        classes: of those weights.
    """

    network: nn.Module
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    tensors: Mapping[str, Tensor] | None = None
    classes: int | None = None


def build(name: str, num_classes: int, pretrained: bool, size: int | None, own_head: bool) -> Made:
    """A network of a library.

    Args:
        name: "torchvision/NAME" or "timm/NAME".
        num_classes: of the head.
        pretrained: whether it has the weights that the library fetches.
        size: height and width of the pictures, for networks that are made for one.
        own_head: a pretrained network keeps the classes that it has.

    Raises:
        LimbeckError: there is no such library or network, or its weights cannot be had.
    """
    refuse_unknown(name)
    library, _, bare = name.partition("/")
    return (_torchvision if library == "torchvision" else _timm)(bare, num_classes, pretrained, size, own_head)


def refuse_unknown(name: str) -> None:
    """Refuses a name that its library does not know, and a library that is not there."""
    library, _, bare = name.partition("/")
    if library == "torchvision":
        from torchvision import models

        names = models.list_models(module=models)
        if bare not in names:
            raise _unknown(name, names, "torchvision.models.list_models(module=torchvision.models)")
        return
    try:
        import timm
    except ImportError as error:
        raise LimbeckError(f"{name} needs timm ({error}). Type `pip install timm`.") from error
    if not timm.is_model(bare):
        raise _unknown(name, timm.list_models(), "timm.list_models()")


def version(name: str) -> dict[str, str]:
    """The library of a network and its version; empty where there is none."""
    library, slash, _ = name.partition("/")
    if not slash or library not in ("timm", "torchvision"):
        return {}
    try:
        return {library: importlib.metadata.version(library)}
    except importlib.metadata.PackageNotFoundError:
        return {}


def _torchvision(name: str, num_classes: int, pretrained: bool, size: int | None, own_head: bool) -> Made:
    from torchvision import models

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of initial weights that take long
        if not pretrained:
            return Made(models.get_model(name, weights=None, num_classes=num_classes))
        weights = models.get_model_weights(name).DEFAULT
        shown, classes = weights.transforms(), len(weights.meta["categories"])
        wanted = (shown.crop_size[0], tuple(shown.mean), tuple(shown.std))
        try:
            if own_head:
                return Made(models.get_model(name, weights=weights, progress=False), *wanted)
            tensors = weights.get_state_dict(progress=False, check_hash=True)
        except (OSError, RuntimeError) as error:
            raise _cannot_be_had(f"torchvision/{name}", error) from error
        network = models.get_model(name, weights=None, num_classes=num_classes)
    return Made(network, *wanted, tensors, classes)


def _timm(name: str, num_classes: int, pretrained: bool, size: int | None, own_head: bool) -> Made:
    import timm

    known = timm.get_pretrained_cfg(name)
    fixed = bool(known and known.fixed_input_size)
    options: dict[str, Any] = {"img_size": size} if fixed and size else {}
    if not (pretrained and own_head):
        options["num_classes"] = num_classes
    try:
        with _said_once("huggingface_hub"):
            network = timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:  # the hub's client has many kinds of them
        if not pretrained:
            raise LimbeckError(f"timm/{name} cannot be made: {own.said(error)}.") from error
        raise _cannot_be_had(f"timm/{name}", error) from error
    cfg: Any = network.pretrained_cfg
    wants = max(cfg["input_size"][-2:]) if pretrained or fixed else None
    return Made(network, wants, cfg.get("mean"), cfg.get("std"), classes=cfg.get("num_classes") if pretrained else None)


@contextlib.contextmanager
def _said_once(library: str) -> Iterator[None]:
    """Of what a library says of every new attempt, shows the first line, which tells why it takes long."""
    said: list[logging.LogRecord] = []

    def first(record: logging.LogRecord) -> bool:
        said.append(record)
        return record is said[0]

    handlers = logging.getLogger(library).handlers
    for handler in handlers:
        handler.addFilter(first)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(first)


def _cannot_be_had(name: str, error: Exception) -> LimbeckError:
    why = own.said(error).rstrip(".")
    return LimbeckError(
        f"the pretrained weights of {name} cannot be had: {why}. They are fetched by its library, over the "
        "network, unless they lie in its cache. Have a network, or give their file with `weights` in place of "
        "`pretrained` (--student.weights FILE, --teacher.weights FILE)."
    )


def _unknown(name: str, names: Sequence[str], listing: str) -> LimbeckError:
    """What is said of a name that a library has not; it has too many to show them all."""
    library, _, wanted = name.partition("/")
    near = nearest(wanted, names)
    hint = f" Did you mean {library}/{near}?" if near else ""
    return LimbeckError(f"there is no {name}.{hint} {listing} gives the names, in Python.")

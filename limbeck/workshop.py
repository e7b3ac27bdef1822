"""What a recipe's networks are made with, and those of others that it names."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakKeyDictionary

from torch import nn

from limbeck import data, files, own
from limbeck.console import Console
from limbeck.data import Dataset
from limbeck.judging import trained
from limbeck.models.composed import notes_of, shown_to
from limbeck.models.model import Model
from limbeck.models.names import is_source
from limbeck.models.normalised import Normalised
from limbeck.models.sources import Source
from limbeck.models.weights import load_network
from limbeck.recipes.recipe import Recipe, Training, Weights
from limbeck.runs import RunFolder
from limbeck.teachers import Assignment
from limbeck.training import Engine


def divided(recipe: Recipe, engine: Engine, console: Console) -> tuple[Dataset, Dataset]:
    """The pictures to train on and those that are held out, on the engine's device."""
    whole = data.load(recipe.data.name, "train", console, recipe.data)
    if recipe.data.has("val"):
        return whole.to(engine.device), data.load(recipe.data.name, "val", console, recipe.data).to(engine.device)
    kept, held = data.hold_out(whole, recipe.protocol.holdout)
    return whole.subset(kept).to(engine.device), whole.subset(held).to(engine.device)


class Workshop:
    """Where one recipe's networks are made or read, for one folder.

    Args:
        recipe, folder, engine, console: what is made for what, with what, and where progress goes.
        pictures: to train on and held out.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        engine: Engine,
        console: Console,
        pictures: tuple[Dataset, Dataset],
    ) -> None:
        self.recipe, self.folder, self.engine, self.console = recipe, folder, engine, console
        self.pictures, self.held_out = pictures
        self.notices: dict[str, None] = {}  # what is to be said of the networks
        self.read_from: WeakKeyDictionary[nn.Module, Path] = WeakKeyDictionary()  # the files of networks

    def fresh(self, model: Model) -> Normalised:
        """A new network with weights from torch's random state, or those it starts from, on the engine's device."""
        network = model.build(len(self.pictures.classes), self.pictures.statistics())
        self.engine.place(network)
        self._notice(network, *(shown_to(network) if is_source(model.name) else ()))
        return network

    def given(self, source: Source) -> Normalised:
        """A teacher that limbeck did not make, on the engine's device.

        Raises:
            LimbeckError: it does not answer with the classes of the data.
        """
        network = trained.given(source, self.pictures, self.engine)
        self._notice(network, *shown_to(network))
        return network

    def kept(self, teacher: Weights) -> nn.Module:
        """A teacher of a file that limbeck wrote, on the engine's device."""
        network, side = self.engine.place(self.loaded(teacher.path)), files.read_metadata(teacher.path).get("side")
        here = self.pictures.image_shape[0]
        others = f"{teacher.path} learned on pictures of {side} x {side}, and these are {here} x {here}"
        self._notice(network, *shown_to(network), *([others] if side not in (None, str(here)) else []))
        return network

    def loaded(self, weights: Path) -> nn.Module:
        """The network of a weights file, if it speaks of the same classes as the data."""
        saved = load_network(weights, own.named(self.recipe))
        trained.refuse_other_classes(weights, saved.classes, self.pictures)
        self.read_from[saved.network] = weights
        return saved.network

    def assignment(self, how: Training, teacher: nn.Module, taps: tuple[str, ...] = ()) -> Assignment:
        """What the teacher of a training is to label."""
        view_seed, answers = self.recipe.protocol.view_seed, self.folder.answers
        return Assignment(teacher, self.engine, self.pictures, how.views, view_seed, answers, self.console, taps)

    def _notice(self, network: nn.Module, *shown: str) -> None:
        self.notices |= dict.fromkeys([*shown, *notes_of(network)])

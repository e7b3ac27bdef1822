"""The recipe `folder`: a small network for pictures of one's own."""

from __future__ import annotations

from limbeck.data.views import Views
from limbeck.models.model import Model
from limbeck.objectives import KD
from limbeck.recipes.recipe import Data, Protocol, Recipe, Training
from limbeck.training import SGD, AdamW, Schedule, Train


def folder() -> Recipe:
    """Pictures of your own: a VGG of 13 layers teaches one of 8 with a tenth of its weights, on a CPU.

    The folder has one folder for each class, or train, val and test and the classes in each; it has to be named.
    Pictures are brought to 32 pixels; larger ones tell more and take four times as long: --data.size 64
    --views.crop 8. Views are mirrored: --views.no-flip where left and right differ.

    Command: limbeck run folder --data.name path/to/folder
    Time and result: not measured.
    """
    views, schedule = Views(), Schedule(decay="cosine", warmup=1)
    return Recipe(
        name="folder",
        data=Data(name=""),
        views=views,
        teacher=Training(
            views=views,
            student=Model(name="vgg13", width=0.5),
            train=Train(epochs=20, batch_size=64, optimizer=SGD(lr=0.05), schedule=schedule, clip=2.0),
        ),
        student=Model(name="vgg8", width=0.25),
        train=Train(epochs=20, batch_size=64, optimizer=AdamW(lr=4e-3), schedule=schedule, clip=1.0),
        objective=KD(temperature=4, weight=0.9, labels=0.1),
        protocol=Protocol(seeds=(0, 1, 2), holdout=144),
    )

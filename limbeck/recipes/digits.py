"""The recipe `digits`: the whole of limbeck on a small data set that needs no network."""

from __future__ import annotations

from limbeck.data.views import Views
from limbeck.models.model import Model
from limbeck.objectives import Standardised
from limbeck.recipes.recipe import Data, Protocol, Recipe, Training
from limbeck.training import AdamW, Schedule, Train


def digits() -> Recipe:
    """Narrow versions of the lab's pair on scikit-learn's handwritten digits, scaled to 32 pixels.

    No flip: digits are not symmetric. 360 test pictures tell little apart: the gain is shown with its interval, and
    may well be 0. The objective, KD on standardised logits (Sun et al., CVPR 2024), is the one of 31 with the highest
    mean on the held-out split; with plain KD the gain was -0.37 ± 1.05 points on the test set.

    Command: limbeck run
    Time: 59 s on two cores of an AMD EPYC (AVX512_BF16), torch 2.14.1, from start to end, offline.
    Result, test, 3 seeds: teacher 98.06 %, alone 95.19 ± 1.44, distilled 96.57 ± 0.40, gain +1.39 ± 1.38 points;
    on the held-out split, by which the objective was chosen, gain +3.37 ± 1.00.
    """
    views = Views(crop=3, flip=False)
    schedule = Schedule(decay="cosine", warmup=1)
    return Recipe(
        name="digits",
        data=Data(name="digits"),
        views=views,
        teacher=Training(
            views=views,
            student=Model(name="alexnet_cifar", width=0.125),
            train=Train(
                epochs=16, batch_size=50, optimizer=AdamW(lr=2e-3), schedule=schedule, clip=1.0, checkpoint_seconds=2
            ),
        ),
        student=Model(name="nin_cifar", width=0.25),
        train=Train(
            epochs=18, batch_size=50, optimizer=AdamW(lr=4e-3), schedule=schedule, clip=1.0, checkpoint_seconds=2
        ),
        objective=Standardised(),
        protocol=Protocol(seeds=(0, 1, 2), holdout=287),
    )

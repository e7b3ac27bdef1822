"""The recipes on CIFAR-100: the published settings for any pair and method, and a faster setting of ours."""

from __future__ import annotations

from limbeck.data.views import Views
from limbeck.models.model import Model
from limbeck.objectives import KD
from limbeck.recipes.recipe import Data, Protocol, Recipe, Training
from limbeck.training import SGD, Schedule, Train


def cifar100() -> Recipe:
    """Any method on any pair with the published settings: ResNet-32x4 (7.4 M parameters) teaches ResNet-8x4 (1.2 M).

    For a GPU. The settings are those of the benchmark of Tian, Krishnan and Isola (ICLR 2020): 240 epochs of batches of
    64, a rate of 0.05 that falls to a tenth after 150, 180 and 210, crop and flip, no Nesterov momentum. All 50,000
    pictures are trained on, as there: nothing is chosen here, so nothing is held out. The published tables give the
    best epoch on the test set; here it is the last one.

    Command: limbeck run cifar100
    Another method: limbeck run cifar100 --objective dkd
    Another pair: limbeck run cifar100 --teacher.student.name wrn_40_2 --student.name wrn_16_2
    A mobile one: limbeck run cifar100 --student.name shufflenet_v2 --train.optimizer.lr 0.01
    That rate is the published one for mobilenetv2_half, shufflenet_v1 and shufflenet_v2.
    Time and result: not measured.
    """
    train = Train(
        epochs=240,
        batch_size=64,
        optimizer=SGD(lr=0.05, momentum=0.9, nesterov=False, weight_decay=5e-4),
        schedule=Schedule(decay="steps", milestones=(0.625, 0.75, 0.875), factor=0.1),
        chunk=64,
    )
    return Recipe(
        name="cifar100",
        data=Data(name="cifar100"),
        views=Views(crop=4, flip=True),
        teacher=Training(views=Views(crop=4, flip=True), student=Model(name="resnet32x4"), train=train),
        student=Model(name="resnet8x4"),
        train=train,
        objective=KD(temperature=4, weight=0.9, labels=0.1),
        protocol=Protocol(seeds=(0, 1, 2), holdout=0),
    )


def cifar100_fast() -> Recipe:
    """The pair of `cifar100` in a thirteenth of the steps: fewer epochs, of larger batches, and one cosine.

    For a GPU. The rate warms up and falls without steps, and an average of the weights is what is kept. 5,000 pictures
    are held out to tune these settings by: nobody has yet.

    Command: limbeck run cifar100_fast
    Time and result: not measured.
    """
    train = Train(
        epochs=160,
        batch_size=500,
        optimizer=SGD(lr=0.3, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=Schedule(decay="cosine", warmup=5),
        ema=0.998,
        chunk=90,
    )
    return Recipe(
        name="cifar100_fast",
        data=Data(name="cifar100"),
        views=Views(crop=4, flip=True),
        teacher=Training(views=Views(crop=4, flip=True), student=Model(name="resnet32x4"), train=train),
        student=Model(name="resnet8x4"),
        train=train,
        objective=KD(temperature=4, weight=0.9, labels=0.1),
        protocol=Protocol(seeds=(0, 1, 2), holdout=5000),
    )

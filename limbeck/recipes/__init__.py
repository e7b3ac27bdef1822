"""What to run: typed recipes, one file each."""

from limbeck.recipes.catalogue import CATALOGUE, describe, find
from limbeck.recipes.cifar10 import cifar10, cifar10_best, cifar10_cpu
from limbeck.recipes.cifar100 import cifar100, cifar100_fast
from limbeck.recipes.digits import digits
from limbeck.recipes.folder import folder
from limbeck.recipes.lab3 import lab3
from limbeck.recipes.procedures import assisted, born_again
from limbeck.recipes.recipe import Data, Protocol, Recipe, Source, Teachers, Training, Weights

__all__ = [
    "CATALOGUE",
    "Data",
    "Protocol",
    "Recipe",
    "Source",
    "Teachers",
    "Training",
    "Weights",
    "assisted",
    "born_again",
    "cifar10",
    "cifar10_best",
    "cifar10_cpu",
    "cifar100",
    "cifar100_fast",
    "describe",
    "digits",
    "find",
    "folder",
    "lab3",
]

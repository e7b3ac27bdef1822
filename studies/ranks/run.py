"""Several processes against one: the same training, and how far apart its weights end.

    python studies/ranks/run.py                    # two processes, half a minute
    python studies/ranks/run.py --processes 3 --epochs 20

Each case is trained by one process and by several (gloo), without dropout and batch normalisation. Shown are the steps,
how far the weight that moved most moved, the largest difference of any weight between one process and several, and
between those themselves. How much a difference grows by itself is seen beside them: between one process and one whose
first weights are rounded otherwise, in their last bit. The table is written to results/HARDWARE-N.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # which an optimizer imports at its first step: here once, for all that is forked
from torch import Tensor, nn

from limbeck import data, files, streams
from limbeck.data.views import Views
from limbeck.distillation import prepared
from limbeck.environment import hardware, slug
from limbeck.models.model import Model
from limbeck.objectives import CRD, DML, KD, RKD, SP, CrossEntropy, FitNet
from limbeck.processes import ranks
from limbeck.teachers import Live, Stored, Table
from limbeck.training import SGD, AdamW, Device, Job, Schedule, Train, choose, fit

RESULTS = Path(__file__).parent / "results"
PICTURES = 125  # batches of 32: the last one has 29, which two or three processes cannot divide
VIEWS = Views(crop=2, cutout=4)
TRAIN = Train(batch_size=32, optimizer=SGD(lr=0.02), schedule=Schedule(warmup=1), chunk=2, checkpoint_seconds=0)

Case = dict[str, Any]
CASES: dict[str, Case] = {
    "cross-entropy": {"objective": CrossEntropy()},
    "KD, teacher asked live": {"objective": KD(), "labelling": Live()},
    "KD, answers stored": {"objective": KD(), "labelling": Stored()},
    "KD, a table of all views": {"objective": KD(), "labelling": Table(), "views": VIEWS.with_(crop=1, cutout=0)},
    "RKD (relates the pictures of a batch)": {"objective": KD() + 0.02 * RKD(labels=0)},
    "SP (relates their features)": {"objective": SP(weight=100)},
    "CRD (two memory banks)": {"objective": CRD(weight=0.05, negatives=64, width=16)},
    "FitNet (an adapter)": {"objective": FitNet(weight=0.1)},
    "FitNet without labels (layers without gradient)": {"objective": FitNet(weight=0.1, labels=0)},
    "DML (a peer learns along)": {"objective": DML()},
    "mixup": {"objective": KD(), "views": VIEWS.with_(mix="mixup")},
    "batches in 2 parts": {"objective": KD(), "train": {"accumulate": 2}},
    "clipped": {"objective": KD(), "train": {"clip": 0.2}},
    "averaged weights": {"objective": KD(), "train": {"ema": 0.9}},
    "AdamW": {"objective": KD(), "train": {"optimizer": AdamW(lr=2e-3)}},
}
STOPPED = "KD, teacher asked live"
Weights = dict[str, Tensor]


class Stopped(BaseException):
    """The training ends here."""


def job(case: Case, folder: Path, epochs: int) -> Job:
    """The training of a case."""
    engine = choose(Device(name="cpu", precision="fp32", compile="off", threads=1))
    pictures = data.load("digits", "train").subset(torch.arange(PICTURES))
    return prepared(
        _network("nin_cifar", pictures, 0),
        _network("alexnet_cifar", pictures, 9) if case["objective"].needs_teacher else None,
        case["objective"],
        pictures,
        views=case.get("views", VIEWS),
        train=TRAIN.with_(epochs=epochs, **case.get("train", {})),
        engine=engine,
        seed=0,
        view_seed=5,
        folder=files.make_folder(folder),
        identity="",
        labelling=case.get("labelling"),
    )


def _network(name: str, pictures: data.Dataset, seed: int) -> nn.Module:
    with streams.seeded(seed, "weights"):
        made = Model(name=name, width=0.0625).build(len(pictures.classes), pictures.statistics())
    for module in list(made.modules()):
        for part, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, part, nn.Identity())  # one that drops nothing would still draw
    return made


def train(out: Path, epochs: int, rounded: bool = False) -> None:
    """Trains all cases in this process, with the others where there are any, and keeps the weights.

    ``rounded``: from first weights that differ in their last bit.
    """
    kept: dict[str, Weights] = {}
    moved: dict[str, float] = {}
    for number, (name, case) in enumerate(CASES.items()):
        made = job(case, out / str(number), epochs)
        before = _weights(made)
        if rounded:
            _round(made.network)
        kept[name] = _weights(made, fit(made))
        moved[name] = apart(before, kept[name])
    count = ranks.size()
    made = job(CASES[STOPPED], out.parent / f"stopped by {count}", epochs)
    made.progress = _stopping(made.steps_per_epoch * epochs // 2 + 1)
    with contextlib.suppress(Stopped):
        fit(made)
    for begun in {count, 1} if count > 1 else ():
        made = job(CASES[STOPPED], out.parent / f"stopped by {begun}", epochs)
        name = f"{STOPPED}; the first half by {begun}"
        kept[name], moved[name] = _weights(made, fit(made)), moved[STOPPED]
    torch.save({"kept": kept, "moved": moved}, out.with_suffix(f".{ranks.rank()}.pt"))


@torch.no_grad()
def _round(network: nn.Module) -> None:
    """Makes weights larger or smaller by the least that float32 can tell."""
    random = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        ways = torch.rand(weight.shape, generator=random) < 0.5
        weight.copy_(torch.nextafter(weight, torch.where(ways, torch.inf, -torch.inf)))


def _stopping(at: int) -> Callable[[int, str], None]:
    def stop(steps: int, note: str) -> None:
        if steps >= at:
            raise Stopped

    return stop


def _weights(made: Job, kept: nn.Module | None = None) -> Weights:
    """Of the network, of what the objective learns, and of the network that is kept, where that is another."""
    modules = nn.ModuleDict({"network": made.network, "objective": made.objective, "kept": kept or nn.Identity()})
    return {name: value.detach().clone() for name, value in modules.named_parameters()}


def forked(work: Callable[[], None], processes: int) -> None:
    """Does the work in so many processes, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for number in range(processes):
        if child := os.fork():
            children.append(child)
            continue
        os.environ |= {
            **{"RANK": str(number), "LOCAL_RANK": str(number), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            **{"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)},
        }
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    codes = [os.waitpid(child, 0)[1] for child in children]
    if any(codes):
        raise SystemExit(1)


def apart(one: Weights, other: Weights) -> float:
    """The largest difference of a weight."""
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def measure(processes: int, epochs: int, control: bool) -> list[dict[str, Any]]:
    """A row for each case; with ``control``, beside what rounding alone does."""
    with tempfile.TemporaryDirectory() as scratch:
        alone, rounded, together = (Path(scratch, name) for name in ("alone", "rounded", "together"))
        forked(lambda: train(alone, epochs), 1)
        forked(lambda: train(together, epochs), processes)
        if control:
            forked(lambda: train(rounded, epochs, rounded=True), 1)
        ours = [together.with_suffix(f".{number}.pt") for number in range(processes)]
        places = [alone.with_suffix(".0.pt"), (rounded if control else alone).with_suffix(".0.pt"), *ours]
        one, other, several, *others = [torch.load(place, weights_only=True) for place in places]
    return [
        {
            "case": name,
            "steps": epochs * -(-PICTURES // TRAIN.batch_size),
            "moved": several["moved"][name],
            "difference": apart(one["kept"].get(name, one["kept"][STOPPED]), weights),
            "among_them": max(apart(weights, more["kept"][name]) for more in others),
            "rounded": apart(one["kept"][name], other["kept"][name]) if control and name in CASES else None,
            "continued": 0.0 if name in CASES else apart(weights, several["kept"][STOPPED]),
        }
        for name, weights in several["kept"].items()
    ]


COLUMNS = {
    "moved": "a weight moved by",
    "difference": "one process against several",
    "among_them": "among those",
    "rounded": "one process against one rounded otherwise",
}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [f"| case | steps | {' | '.join(COLUMNS.values())} |", "|---|" + "---:|" * (1 + len(COLUMNS))]
    for row in rows:
        figures = ["" if row[key] is None else f"{row[key]:.1e}" if row[key] else "0" for key in COLUMNS]
        lines.append(f"| {row['case']} | {row['steps']} | {' | '.join(figures)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, shows and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the rows there, without the last column, and no table")
    asked = parser.parse_args()
    rows = measure(asked.processes, asked.epochs, control=asked.json is None)
    print(table(rows))
    if asked.json:
        asked.json.write_text(json.dumps(rows), encoding="utf-8")
        return
    machine = hardware(torch.device("cpu"))
    said = f"{machine}, torch {torch.__version__}, gloo, {asked.processes} processes, float32."
    files.write_bytes(RESULTS / f"{slug(machine)}-{asked.processes}.md", f"{said}\n\n{table(rows)}\n".encode())


if __name__ == "__main__":
    main()

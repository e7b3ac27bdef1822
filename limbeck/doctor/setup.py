"""`limbeck.check_setup`: the two networks, the optimizer and the pictures, before a training begins."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.doctor import pictures as seen
from limbeck.doctor.pictures import Sample
from limbeck.doctor.report import Finding, Report

_RANDOM = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase, nn.RReLU)
_NOTE = (
    "Not looked at: whether the methods compared had equal budgets, whether the student alone was trained as well, and "
    "what the loop does in each step (modes that it changes, a teacher asked outside torch.no_grad())."
)


def check_setup(
    teacher: nn.Module,
    student: nn.Module,
    loader: Iterable[Any],
    *,
    test: Iterable[Any] | None = None,
    selection: Iterable[Any] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    loss: nn.Module | None = None,
    limit: int = 512,
) -> Report:
    """Examines networks and loaders as they are just before the first step; nothing of them is changed.

    Wrong are: a teacher in train mode, or in the optimizer; a student in eval mode, or not in the optimizer; outputs
    that are probabilities already; pictures normalised otherwise than the teacher knows them; stored outputs of the
    teacher that do not fit their pictures; an augmented test set, or one that is trained on or selected by; what the
    loss learns where no optimizer finds it. A trainable teacher that is in no optimizer is to look at.

    Args:
        teacher, student: networks that take a batch of the loaders' pictures and return (B, classes) logits.
        loader: the training batches: (pictures, labels), or (pictures, labels, the teacher's stored logits).
        test: the test batches; without them nothing is said of the test set.
        selection: the batches by which the epoch, the method or its options are chosen.
        optimizer: the one that trains the student.
        loss: the loss, where it is a module with parameters of its own.
        limit: how many pictures of each loader are looked at.

    Raises:
        LimbeckError: a loader that yields something else, or nothing.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        training = seen.sample(loader, "loader", limit)
        theirs = _outputs(teacher, training.pictures)
        ours = _outputs(student, training.pictures[:32])
        findings: list[Finding | None] = [
            _teachers_mode(teacher),
            _teachers_parameters(teacher, optimizer),
            _students_mode(student),
            _students_parameters(student, teacher, optimizer),
            _logits(theirs, ours),
        ]
        if isinstance(theirs, Tensor) and theirs.ndim == 2:
            findings += [
                _answers(teacher, training, theirs),
                *(
                    seen.in_range(network, who, training)
                    for network, who in ((teacher, "teacher"), (student, "student"))
                ),
                seen.normalisation(lambda x: _called(teacher, x), training, theirs),
                seen.stored(training, theirs),
            ]
        if test is not None:
            tested = seen.sample(test, "test", limit)
            findings += [
                seen.augmented(test),
                seen.alike(training, tested),
                seen.shared("test pictures in training", training, tested, loader, test),
            ]
            if selection is not None:
                chosen = seen.sample(selection, "selection", limit)
                findings.append(seen.shared("selection", chosen, tested, selection, test))
        if loss is not None:
            findings.append(_learned(loss, optimizer))
    title = f"teacher {type(teacher).__name__}, student {type(student).__name__}, {len(training.pictures)} pictures"
    return Report(title, tuple(finding for finding in findings if finding is not None), _NOTE)


def _called(network: nn.Module, pictures: Tensor) -> Tensor:
    """What a network says in eval mode, in parts of 64; its modes are put back."""
    modes = {module: module.training for module in network.modules()}
    place = next(itertools.chain(network.parameters(), network.buffers()), pictures).device
    try:
        network.eval()
        return torch.cat([network(part.to(place)).float().cpu() for part in pictures.split(64)])
    finally:
        for module, mode in modes.items():
            module.training = mode


def _outputs(network: nn.Module, pictures: Tensor) -> Tensor | str:
    try:
        return _called(network, pictures)
    except Exception as error:
        first = str(error).strip().splitlines()
        return f"{type(error).__name__}: {first[0] if first else ''}"


def _teachers_mode(teacher: nn.Module) -> Finding:
    why = "dropout makes its answers noise, and batch statistics make them depend on the batch"
    on = [
        path or "itself" for path, module in teacher.named_modules() if module.training and isinstance(module, _RANDOM)
    ]
    mend = "Say teacher.eval() before the training, and again after any student.train() of a module that holds both."
    if on:
        return Finding("teacher's mode", f"train mode: {_some(on)}", "wrong", why, mend)
    if teacher.training:
        text = "train mode, though no layer known to depend on it"
        return Finding("teacher's mode", text, "look", why, mend)
    return Finding("teacher's mode", "eval mode", "ok", why)


def _answers(teacher: nn.Module, training: Sample, before: Tensor) -> Finding:
    why = "the same picture should have the same soft target"
    again = _called(teacher, training.pictures[:64])
    if torch.allclose(again, before[:64], rtol=1e-3, atol=1e-3 * float(before.abs().max())):
        return Finding("teacher's answers", "the same twice", "ok", why)
    mend = "Look for F.dropout without training=self.training, or noise in its forward."
    return Finding("teacher's answers", "differ from one call to the next, in eval mode", "wrong", why, mend)


def _teachers_parameters(teacher: nn.Module, optimizer: torch.optim.Optimizer | None) -> Finding:
    why = "a teacher that moves is another teacher, and its gradients cost time and memory"
    free = [name for name, parameter in teacher.named_parameters() if parameter.requires_grad]
    held = _held(optimizer)
    moved = [name for name, parameter in teacher.named_parameters() if id(parameter) in held]
    mend = "Say teacher.requires_grad_(False), and ask it under torch.no_grad()."
    if moved:
        text = f"in the optimizer: {_some(moved)}"
        return Finding("teacher's parameters", text, "wrong", why, mend + " Give the optimizer the student's alone.")
    if free:
        return Finding("teacher's parameters", f"trainable: {_some(free)}", "look", why, mend)
    return Finding("teacher's parameters", "frozen", "ok", why)


def _students_mode(student: nn.Module) -> Finding:
    why = "in eval mode dropout is off and batch statistics are never learned"
    off = [path or "itself" for path, m in student.named_modules() if not m.training and isinstance(m, _RANDOM)]
    mend = "Say student.train() at the start of every epoch: an evaluation leaves it in eval mode."
    if not student.training:
        return Finding("student's mode", "eval mode", "wrong", why, mend)
    if off:
        return Finding("student's mode", f"train mode, but for {_some(off)}", "look", why, f"If not meant: {mend}")
    return Finding("student's mode", "train mode", "ok", why)


def _students_parameters(student: nn.Module, teacher: nn.Module, optimizer: torch.optim.Optimizer | None) -> Finding:
    question, why = "student's parameters", "what no optimizer has stays as it began"
    free = {name: parameter for name, parameter in student.named_parameters() if parameter.requires_grad}
    if not free:
        return Finding(question, "none is trainable", "wrong", why, "Say student.requires_grad_(True).")
    held, theirs = _held(optimizer), {id(parameter) for parameter in teacher.parameters()}
    missing = [name for name, parameter in free.items() if optimizer is not None and id(parameter) not in held]
    if missing:
        mend = "Make the optimizer after the student is built and moved: optimizer(student.parameters())."
        return Finding(question, f"not in the optimizer: {_some(missing)}", "wrong", why, mend)
    if common := [name for name, parameter in free.items() if id(parameter) in theirs]:
        why = "to train the student is then to change the teacher"
        mend = "Copy them: copy.deepcopy(teacher)."
        return Finding(question, f"the teacher's own, and trainable: {_some(common)}", "wrong", why, mend)
    where = "trainable" if optimizer is None else "trainable, and in the optimizer"
    return Finding(question, where, "ok", why)


def _logits(theirs: Tensor | str, ours: Tensor | str) -> Finding:
    why = "losses on logits apply softmax themselves, and compare class with class"
    for who, said in (("teacher", theirs), ("student", ours)):
        if isinstance(said, str):
            return Finding("logits", f"the {who} cannot be called on these pictures: {said}", "wrong", why)
        if said.ndim != 2:
            return Finding("logits", f"the {who} returns {tuple(said.shape)}, not (batch, classes)", "wrong", why)
        if not said.isfinite().all():
            return Finding("logits", f"the {who}'s are not finite", "wrong", why, "Check its weights and its input.")
        ones = torch.ones(len(said))
        if said.shape[1] > 1 and torch.allclose(said.sum(1), ones, atol=1e-3) and float(said.min()) >= 0:
            mend = f"Take the softmax off the end of the {who}: with the loss's own it is a softmax twice."
            return Finding("logits", f"the {who} returns probabilities", "wrong", why, mend)
        if torch.allclose(said.exp().sum(1), ones, atol=1e-3):
            mend = "At T = 1 no harm; at other temperatures likewise. Only squared differences of logits change."
            return Finding("logits", f"the {who} returns log-probabilities", "look", why, mend)
    assert isinstance(theirs, Tensor)
    assert isinstance(ours, Tensor)
    if theirs.shape[1] != ours.shape[1]:
        text = f"the teacher has {theirs.shape[1]} classes, the student {ours.shape[1]}"
        return Finding("logits", text, "wrong", why, "Give both the same classes in the same order.")
    return Finding("logits", f"of {ours.shape[1]} classes, from both", "ok", why)


def _learned(loss: nn.Module, optimizer: torch.optim.Optimizer | None) -> Finding:
    why = "adapters, critics and variances that no optimizer has stay as they began"
    known, held = {id(parameter) for parameter in loss.parameters()}, _held(optimizer)
    hidden = [path for path, tensor in _plain(loss) if tensor.requires_grad and id(tensor) not in known]
    if hidden:
        mend = "Keep them as nn.Parameter, in nn.ParameterList or nn.ModuleList; a plain list hides them."
        return Finding("what the loss learns", f"not in its parameters(): {_some(hidden)}", "wrong", why, mend)
    free = [(name, parameter) for name, parameter in loss.named_parameters() if parameter.requires_grad]
    missing = [name for name, parameter in free if optimizer is not None and id(parameter) not in held]
    if missing:
        mend = "Give the optimizer [*student.parameters(), *loss.parameters()]."
        return Finding("what the loss learns", f"not in the optimizer: {_some(missing)}", "wrong", why, mend)
    return Finding("what the loss learns", "nothing" if not free else f"{len(free)} parameters", "ok", why)


def _plain(loss: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The tensors that a module keeps in its own attributes, also in lists, dictionaries and modules within those."""
    for path, module in loss.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_") or isinstance(value, Tensor):
                yield from _tensors(f"{path}.{name}".lstrip("."), value)


def _tensors(path: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, nn.Module):
        yield from ((f"{path}.{name}", parameter) for name, parameter in value.named_parameters())
    elif isinstance(value, (list, tuple, dict)):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _tensors(f"{path}[{key!r}]", each)


def _held(optimizer: torch.optim.Optimizer | None) -> set[int]:
    return {id(p) for group in optimizer.param_groups for p in group["params"]} if optimizer is not None else set()


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

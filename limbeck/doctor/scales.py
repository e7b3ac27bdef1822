"""Questions of size: batches, classes, temperatures, constants, extreme and coarse numbers."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from limbeck.doctor.patient import PICTURES, Patient
from limbeck.doctor.report import Finding
from limbeck.doctor.subject import Look, RefusedError


def batch(patient: Patient) -> Finding:
    why = "otherwise another batch size is another weight, or another learning rate"
    student, teacher = patient.student.repeat(2, 1), patient.teacher.repeat(2, 1)
    twice = patient.examine(student, teacher, patient.labels.repeat(2))
    half = PICTURES // 2
    halves = [
        patient.examine(patient.student[part], patient.teacher[part], patient.labels[part]).value
        for part in (slice(half), slice(half, None))
    ]
    value = patient.look.value
    ratio = twice.value / value if value else 1.0
    alone = abs(sum(halves) / 2 - value) < 1e-3 * abs(value)
    if math.isclose(ratio, 1, rel_tol=1e-3) and alone:
        return Finding("batch size", "the mean over the pictures: independent of the batch size", "ok", why)
    if math.isclose(ratio, 2, rel_tol=1e-3):
        mend = "A sum over the batch: divide by len(student), or say reduction='batchmean'."
        return Finding("batch size", "twice the batch, twice the loss", "look", why, mend)
    mend = "Losses on relations between pictures do this by design (DIST, MLLD, SP, PKT); others should not."
    found = f"pictures are compared with each other; the same batch twice gives {ratio:.3g} times the loss"
    return Finding("batch size", found, "look", why, mend)


def classes(patient: Patient) -> Finding:
    """Doubles every class: a divergence of probabilities stays as it is."""
    why = "a weight that is right for 10 classes should be right for 100"
    student, teacher = (torch.cat([x, x], dim=1) for x in (patient.student, patient.teacher))
    wider = patient.examine(student, teacher)
    ratio = _slope(wider, student - teacher) / _slope(patient.look, patient.student - patient.teacher)
    if math.isclose(ratio, 0.5, rel_tol=0.01):
        divergence = patient.kind is not None and patient.kind.name in ("forward", "reverse")
        mend = "kl_div averages over the classes, too, with reduction='mean': say reduction='batchmean'."
        found = f"divided by the number of classes: {patient.classes} times too small with {patient.classes}"
        if divergence:
            return Finding("classes", found, "wrong", why, mend)
        return Finding("classes", "divided by the number of classes", "look", why, "If it is a divergence: " + mend)
    if 0.67 < ratio < 1.5:
        return Finding("classes", f"independent of their number (with every class twice: {ratio:.3g} times)", "ok", why)
    mend = "Fine where the weight is published for it; choose the weight anew for another number of classes."
    return Finding("classes", f"depends on their number (with every class twice: {ratio:.3g} times)", "look", why, mend)


def _slope(look: Look, along: Tensor) -> float:
    return float((look.pull * along).sum())


def temperature(patient: Patient) -> Finding | None:
    """The T² that keeps the gradient's size."""
    subject, kind = patient.subject, patient.kind
    question, why = "T²", "without it the soft targets' gradient shrinks as 1/T², and their weight with it"
    mend = "Multiply the softened term by temperature ** 2, on every path."
    if not subject.takes("temperature"):
        if kind is None or kind.name != "forward" or kind.temperature == 1:
            return None
        squared = kind.temperature**2
        if kind.factor >= 0.1 * squared or math.isclose(kind.factor * patient.classes, squared, rel_tol=0.01):
            return Finding(question, f"there: {kind.factor / squared:.3g} · T² at T = {kind.temperature:g}", "ok", why)
        found = f"not there: {kind.factor:.3g} times the divergence, at T = {kind.temperature:g}"
        return Finding(question, found, "look", why, f"{mend} Fine where the caller does, or where its weight does.")
    labels = [patient.labels, None] if subject.labels_optional else [patient.labels]
    found, verdict = "", "ok"
    for known in labels:
        small = 0.2 * patient.student, 0.2 * patient.teacher
        sizes = [float(subject.look(*small, known, temperature=t).pull.norm()) for t in (2.0, 32.0, 64.0)]
        power = math.log2(sizes[2] / sizes[1]) if sizes[1] and sizes[2] else -math.inf
        path = "" if len(labels) == 1 else " with labels" if known is not None else " without labels"
        if power < -0.3:
            text = f"not there{path}: the gradient goes as T^{power:.1f}"
            # A divergence that is published at T = 1 has nothing to put right (OFA).
            known_mistake = kind is not None and kind.name == "forward" and subject.temperature != 1
            found, verdict = text, "wrong" if known_mistake else "look"
            break
        if power > 0.3:
            found, verdict = f"more than that{path}: the gradient grows as T^{power:.1f}", "look"
        elif kind is not None and kind.name == "forward" and sizes[0] / sizes[2] > 1.15:
            text = (
                f"only on a part of it{path}: the gradient at T = 2 is {sizes[0] / sizes[2]:.2g} times that at T = 64"
            )
            found, verdict = text, "look"
    if verdict == "ok":
        return Finding(question, "there: the gradient keeps its size at high temperatures", "ok", why)
    hint = f"{mend} Without it by design: TTM, OFA, Tf-KD." if found.startswith("not") else "Meant in DIST."
    return Finding(question, found, "wrong" if verdict == "wrong" else "look", why, hint)


def shift(patient: Patient) -> Finding:
    why = "softmax does not see it, so neither should a loss that is made of softmaxes"
    constant = 5 * patient.direction[:, :1]
    moved = [
        patient.examine(patient.student + constant, patient.teacher),
        patient.examine(patient.student, patient.teacher + constant),
    ]
    if all(_same(look, patient) for look in moved):
        return Finding("a constant added", "to a picture's logits changes nothing", "ok", why)
    column = 5 * patient.direction[:1]
    if _same(patient.examine(patient.student + column, patient.teacher), patient):
        mend = "Where softmax is meant, it goes over the batch: say dim=1. Distances between pictures (RKD) do so."
        return Finding(
            "a constant added", "to a class's logits changes nothing; to a picture's it does", "look", why, mend
        )
    mend = "Right for a regression on logits or on features; where softmax is meant, look for one that is missing."
    return Finding("a constant added", "to a picture's logits changes the loss", "look", why, mend)


def _same(look: Look, patient: Patient) -> bool:
    return abs(look.value - patient.look.value) <= 1e-3 * max(abs(patient.look.value), 1e-9)


def extreme(patient: Patient) -> Finding:
    signs = 1e4 * patient.direction.sign()
    ordinary = patient.student, patient.teacher
    cases = (
        ("the student", signs, ordinary[1]),
        ("the teacher", ordinary[0], signs),
        ("both, equal", signs, signs),
        ("both, opposite", signs, -signs),
    )
    mend = "Use log_softmax and not the logarithm of softmax; mask by -inf and not by a large number; clamp no log."
    return _finite(patient, "logits of ±1e4", cases, mend)


def constant(patient: Patient) -> Finding:
    level, zero = torch.full_like(patient.student, 3.7), torch.zeros_like(patient.student)
    cases = [
        (f"{who} all {what}", *(pair if who == "the student's" else pair[::-1]))
        for who, other in (("the student's", patient.teacher), ("the teacher's", patient.student))
        for what, pair in (("equal", (level, other)), ("zero", (zero, other)))
    ]
    cases += [("both all equal", level, level), ("both all zero", zero, zero)]
    mend = (
        "A division by a deviation or a norm of 0: add a small constant, and keep sqrt away from 0 (its slope is inf)."
    )
    return _finite(patient, "constant rows", cases, mend)


def _finite(patient: Patient, question: str, cases: Iterable[tuple[str, Tensor, Tensor]], mend: str) -> Finding:
    why = "such logits occur (a dead head, a diverging start), and one nan ends the training"
    with _whole(patient):
        bad = [who for who, ours, theirs in cases if not patient.examine(ours, theirs, dtype=torch.float32).finite]
    if not bad:
        return Finding(question, "finite, with finite gradients", "ok", why)
    return Finding(question, f"not finite: {'; '.join(bad)}", "wrong", why, mend)


def half(patient: Patient) -> Finding:
    question, why = "half precision", "under autocast logits come in float16 or bfloat16"
    mend = "Begin with student.float() and teacher.float()."
    worst, bad = 0.0, []
    for dtype in (torch.float16, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        ours, theirs = (x.to(dtype) for x in (patient.student, patient.teacher))
        with _whole(patient):
            coarse = patient.examine(ours, theirs, dtype=dtype)
            fine = patient.examine(ours, theirs, dtype=torch.float32)
        if not coarse.finite:
            bad.append(name)
        else:
            # A gradient comes back in the logits' type, which costs it one rounding at any rate.
            worst = max(worst, float((coarse.pull - fine.pull).norm() / fine.pull.norm()))
    if bad:
        return Finding(question, f"not finite in {' and '.join(bad)}", "wrong", why, mend)
    found = f"finite in float16 and bfloat16, the gradient exact to {worst:.1%}"
    return Finding(question, found, "ok" if worst < 0.02 else "look", why, "" if worst < 0.02 else mend)


@contextlib.contextmanager
def _whole(patient: Patient) -> Iterator[None]:
    """For a moment, the loss with its labels' part."""
    weight, patient.subject.labels_weight = patient.subject.labels_weight, 0.0
    try:
        yield
    finally:
        patient.subject.labels_weight = weight


def unlabelled(patient: Patient) -> Finding | None:
    """A label of -1, which marks a picture without one."""
    if not patient.subject.takes("labels"):
        return None
    question, why = "labels of -1", "they mark pictures without a label; taken for a class they teach a wrong one"
    mend = "Leave out the rows with labels < 0, and divide by the number of the others, at least 1."
    some = patient.labels.clone()
    some[::2] = -1
    with _whole(patient):
        try:
            looks = [patient.examine(patient.student, patient.teacher, y) for y in (some, torch.full_like(some, -1))]
        except RefusedError as error:
            return Finding(question, f"refused: {error}", "look", why, mend)
        if not all(look.finite for look in looks):
            return Finding(question, "not finite where pictures have no label", "wrong", why, mend)
        for other in (patient.classes - 1, 0):
            same = patient.examine(patient.student, patient.teacher, some.where(some >= 0, torch.tensor(other)))
            if math.isclose(same.value, looks[0].value, rel_tol=1e-6) and not _blind(patient, some):
                return Finding(question, f"taken for class {other}", "look", why, mend)
    return Finding(question, "left out, and finite where no picture has a label", "ok", why)


def _blind(patient: Patient, some: Tensor) -> bool:
    """Whether the loss does not depend on the labels at those rows at all."""
    values = [
        patient.examine(patient.student, patient.teacher, some.where(some >= 0, torch.tensor(c))).value for c in (0, 1)
    ]
    return math.isclose(*values, rel_tol=1e-6)


def slope(patient: Patient) -> Finding:
    """The gradient against differences of four values along a direction, whose error goes as the fourth power."""
    why = "training follows the gradient, not the value"
    step = 0.02
    worst = 0.0
    for direction in (patient.direction, patient.direction.flip(0)):
        unit = direction / direction.norm()
        one, two = (
            [patient.examine(patient.student + k * step * unit, patient.teacher).value for k in (away, -away)]
            for away in (1, 2)
        )
        differences = (8 * (one[0] - one[1]) - (two[0] - two[1])) / (12 * step)
        worst = max(worst, abs(differences - float((patient.look.pull * unit).sum())) / float(patient.look.pull.norm()))
    if worst < 5e-3:
        return Finding("gradient", f"agrees with differences of values (to {worst:.1g})", "ok", why)
    mend = "A part is detached or rounded: meant for a weight that must not be learned (WSLD), a mistake elsewhere."
    return Finding("gradient", f"is not the slope of the value (off by {worst:.0%})", "look", why, mend)


def repeatable(patient: Patient) -> Finding:
    why = "a loss that draws random numbers cannot be compared or resumed without their state"
    first, second = (
        patient.subject.look(patient.student, patient.teacher, patient.labels, seed=None) for _ in range(2)
    )
    if first.value == second.value and torch.equal(first.pull, second.pull):
        return Finding("repeatable", "the same logits give the same loss", "ok", why)
    mend = "Look for dropout, noise, or state that each call changes."
    return Finding("repeatable", "the same logits give another loss the second time", "look", why, mend)


def in_place(patient: Patient) -> Finding:
    why = "what is computed afterwards from the same logits is computed from others"
    if patient.look.left_alone:
        return Finding("its inputs", "left as they were", "ok", why)
    mend = "An operation in place (softmax_, /=, sub_, masked_fill_, out=): use the form without the underscore."
    return Finding("its inputs", "the logits are written over", "wrong", why, mend)

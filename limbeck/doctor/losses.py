"""`limbeck.check`: a loss of anyone's, examined from outside."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from limbeck.doctor import scales, towards
from limbeck.doctor.patient import Patient
from limbeck.doctor.report import Finding, Report
from limbeck.doctor.subject import ChangedInPlaceError, RefusedError, Subject
from limbeck.errors import LimbeckError
from limbeck.objectives.promises import Promise

_Question = Callable[[Patient], Finding | None]

_FIRST: dict[str, _Question] = {"ordinary logits": towards.a_number, "student's gradient": towards.student}
_THEN: dict[str, _Question] = {
    "what it is": towards.target,
    "least value": towards.least,
    "far away": towards.far,
    "a sure teacher": towards.certain,
    "teacher's gradient": towards.teacher,
    "T²": scales.temperature,
    "batch size": scales.batch,
    "classes": scales.classes,
    "a constant added": scales.shift,
    "logits of ±1e4": scales.extreme,
    "constant rows": scales.constant,
    "half precision": scales.half,
    "labels of -1": scales.unlabelled,
    "gradient": scales.slope,
    "repeatable": scales.repeatable,
    "its inputs": scales.in_place,
    "what it learns": towards.learned,
}
_PROMISED: dict[str, Promise] = {
    "least value": "least",
    "a constant added": "shift",
    "batch size": "batch",
    "T²": "temperature",
}
_ALWAYS = ("what it is", "teacher's gradient", "its inputs")


def check(loss: Callable[..., Any], name: str | None = None, classes: int = 10) -> Report:
    """Examines a loss on logits by calling it: what it is least at, whom it pulls, and how its size depends on what.

    Wrong are: a gradient into the teacher or none into the student, values or gradients that are not finite, a softmax
    applied twice, a term of the wrong sign, kl_div used against its meaning (averaged over the classes, without T²,
    log-probabilities for probabilities), logits written over, and a broken promise (`limbeck.objectives.promises`).
    Other properties are reported for you to judge; several good losses are not least at equal logits or depend on the
    batch. A separate cross-entropy with the labels is measured and set aside first. Speed is not measured, and no
    property is proved: what was tried are some batches of 16 random pictures.

    Args:
        loss: a callable of (student logits, teacher logits[, labels]), (B, classes) float and (B,) int64, that returns
            a scalar tensor. Arguments named after the student, the teacher, labels or a temperature are given by name,
            others in this order.
        name: what the report calls it; by default its own name.
        classes: how many classes to try it with, at least 3; the number that it was made for, if it was made for one.

    Raises:
        LimbeckError: it is not callable, takes something else, or returns something else; too few classes.
    """
    if classes < 3:
        raise LimbeckError(f"classes = {classes} is too few to tell one loss from another: give at least 3.")
    subject = Subject(loss, name)
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), _one_thread():
        torch.manual_seed(0)
        try:
            patient = Patient(subject, classes)
        except ChangedInPlaceError as error:
            return Report(_title(subject), (_written_over(error),))
        findings = [_asked(question, patient, _FIRST) for question in _FIRST]
        sound = all(finding is None or finding.verdict != "wrong" for finding in findings)
        findings += [_asked(question, patient, _THEN) for question in (_THEN if sound else _ALWAYS)]
    findings = [_held_to_its_word(finding, subject) if finding else None for finding in findings]
    note = ""
    if weight := subject.labels_weight:
        note = f"Set aside: {weight:.3g} · cross-entropy with the labels; the rest was examined."
    return Report(_title(subject), tuple(finding for finding in findings if finding is not None), note)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """So few numbers gain nothing from a second thread, and on a busy machine each wait for it costs milliseconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _asked(question: str, patient: Patient, among: dict[str, _Question]) -> Finding | None:
    try:
        return among[question](patient)
    except RefusedError as error:
        why = "what cannot be called cannot be examined"
        return Finding(question, f"it raises there: {error}", "look", why)


def _held_to_its_word(finding: Finding, subject: Subject) -> Finding:
    if finding.verdict != "look" or _PROMISED.get(finding.question) not in subject.promises:
        return finding
    return replace(finding, verdict="wrong", mend=f"It promises otherwise. {finding.mend}")


def _written_over(error: ChangedInPlaceError) -> Finding:
    why = "the gradient cannot be computed"
    mend = "An operation in place (softmax_, /=, sub_, masked_fill_, out=): use the form without the underscore."
    return Finding(
        "its inputs", f"what the gradient needs is written over: {str(error).partition(': [')[0]}", "wrong", why, mend
    )


def _title(subject: Subject) -> str:
    takes = ", ".join(subject.roles)
    temperature = subject.temperature
    return f"{subject.name}({takes})" + (f" at T = {temperature:g}" if temperature is not None else "")

"""Questions of direction: where a loss pulls the student, how hard, and whom else it pulls."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.doctor.kinds import softmax_of_probabilities
from limbeck.doctor.patient import Patient
from limbeck.doctor.report import Finding
from limbeck.doctor.subject import RefusedError

_TWICE = (
    "Softmax is applied twice: cross_entropy, log_softmax and kl_div's log-probabilities want logits and not "
    "probabilities. Give the outer one logits / T, or use limbeck.objectives.kd_loss."
)


def a_number(patient: Patient) -> Finding:
    why = "a loss that is not finite ends the training"
    if patient.look.finite:
        return Finding("ordinary logits", f"finite ({patient.look.value:.4g})", "ok", why)
    mend = "Look for the logarithm of a negative number or of 0, and for a division by 0."
    if patient.kind and patient.kind.name == "log_target missing":
        mend = "The target given to kl_div is log-probabilities: say log_target=True, or give it probabilities."
    elif _has_log(patient):
        mend = (
            "It takes probabilities or log-probabilities where it is given logits: apply softmax or log_softmax inside."
        )
    return Finding("ordinary logits", f"not finite ({patient.look.value})", "wrong", why, mend)


def _has_log(patient: Patient) -> bool:
    probabilities = F.softmax(patient.teacher, dim=1)
    pairs = [(F.log_softmax(patient.student, dim=1), probabilities), (F.softmax(patient.student, dim=1), probabilities)]
    return any(patient.examine(ours, theirs).finite for ours, theirs in pairs)


def student(patient: Patient) -> Finding:
    why = "what gives the student no gradient teaches it nothing"
    ours, theirs = patient.look.student, patient.look.teacher
    if ours is not None and bool(ours.abs().sum() > 0):
        order = list(patient.subject.roles)
        by_name = [
            patient.subject.roles[name] for name in order if patient.subject.roles[name] in ("student", "teacher")
        ]
        swapped = " (it takes the teacher first: they were given by name)" if by_name[0] == "teacher" else ""
        return Finding("student's gradient", f"reaches the student{swapped}", "ok", why)
    if theirs is not None and bool(theirs.abs().sum() > 0):
        mend = (
            "The arguments are the other way round: the student comes first here, the teacher second. Swap them, or "
            "call them student_logits and teacher_logits, and they are given by name."
        )
        return Finding("student's gradient", "goes into the teacher instead of the student", "wrong", why, mend)
    mend = "Look for .detach(), .data, .item(), torch.no_grad or argmax on the student's side."
    return Finding("student's gradient", "no gradient reaches the student", "wrong", why, mend)


def teacher(patient: Patient) -> Finding | None:
    if not patient.subject.takes("teacher"):
        return Finding(
            "teacher's gradient", "it takes no teacher", "look", "nothing of a teacher can be learned from it"
        )
    why = "a frozen teacher wants none: it costs time and memory, and moves the teacher if an optimizer has it"
    gradient = patient.look.teacher
    if gradient is None or not bool(gradient.abs().sum() > 0):
        if not patient.taught:
            return Finding("teacher's gradient", "none, and the loss does not depend on the teacher", "look", why)
        return Finding("teacher's gradient", "none reaches the teacher", "ok", why)
    if patient.look.student is None:
        return None  # said already: the two are swapped
    size = float(gradient.norm() / patient.look.pull.norm())
    mend = "Write teacher.detach() in the loss, and ask the teacher under torch.no_grad()."
    return Finding("teacher's gradient", f"reaches the teacher, {size:.2g} times the student's", "wrong", why, mend)


def target(patient: Patient) -> Finding | None:
    if patient.kind is None:
        return None
    why = "KL(teacher ‖ student) asks the student to cover what the teacher says; the other direction does not"
    kind, question = patient.kind, "what it is"
    at = f"at T = {kind.temperature:g}"
    if kind.name == "forward":
        return Finding(question, f"cross-entropy or KL(teacher ‖ student) {at}: the teacher is the target", "ok", why)
    if kind.name == "reverse":
        mend = (
            "If that is not meant, the arguments of kl_div are swapped: kl_div(log_softmax(student / T), "
            "softmax(teacher / T)). Reverse KL by intent is fine."
        )
        return Finding(question, f"KL(student ‖ teacher) {at}: the student is the target", "look", why, mend)
    if kind.name == "twice":
        return Finding(question, f"a cross-entropy or KL of softmax applied twice {at}", "wrong", _BOUNDED, _TWICE)
    found, mend = {
        "log_target missing": (
            "kl_div whose target is log-probabilities, taken for probabilities",
            "Say log_target=True, or give kl_div the teacher's probabilities.",
        ),
        "log_target unasked": (
            "kl_div with log_target=True whose target is probabilities, taken for their logarithms",
            "Leave log_target away, or give kl_div log_softmax(teacher / T).",
        ),
        "no logarithm": (
            "kl_div of the student's probabilities, which it takes for their logarithms",
            "Give kl_div log_softmax(student / T) and not softmax(student / T).",
        ),
    }[kind.name]
    return Finding(question, f"{found} ({at})", "wrong", "the least loss is then not at the teacher", mend)


_BOUNDED = "the loss is bounded then, and hardly tells a wrong student from a right one"


def least(patient: Patient) -> Finding:
    """Whether the least value is where the student equals the teacher, and how far away it is otherwise."""
    question, why = "least value", "it is what the student is trained to become"
    subject, teacher = patient.subject, patient.teacher.to(patient.subject.dtype)
    labels = teacher.argmax(dim=1)  # labels that contradict the teacher would hide what the teacher's part wants

    def value(at: Tensor) -> Tensor:
        torch.default_generator.manual_seed(0)  # a loss that draws random numbers draws the same each time
        return subject.value(at.clone(), teacher.clone(), labels)  # copies: it may write over them

    equal = value(teacher).item()
    noise = patient.direction / patient.direction.norm(dim=1, keepdim=True)
    near = [value(teacher + size * n.to(teacher)).item() for n in (noise, -noise, noise.flip(0)) for size in (0.5, 2.0)]
    away = value(patient.student.to(teacher)).item()
    walks = [patient.least(value, start) for start in (teacher + 0.1 * noise.to(teacher), 0.1 * patient.student)]
    lowest, where = min(walks, key=lambda walk: walk[0])
    range_ = max(abs(away - min(lowest, equal)), max(near) - equal, 1e-12)
    if equal <= lowest + 1e-3 * range_:
        return Finding(question, f"where the student equals the teacher ({equal:.3g})", "ok", why)
    ours, theirs = F.softmax(where, dim=1), F.softmax(patient.teacher, dim=1)
    if not patient.subject.takes("teacher") or not patient.taught:
        return Finding(question, "not where the student equals the teacher, whom it does not see", "look", why)
    between, within = _correlation(ours, theirs, 1), _correlation(ours, theirs, 0)
    if max(near) < equal or min(between, within) < -0.1:
        found = (
            "it is greatest where the student equals the teacher"
            if max(near) < equal
            else (
                f"there the student's {'classes' if between < within else 'pictures'} are ranked against the teacher's"
            )
        )
        mend = "A term has the wrong sign: a similarity is maximised by its negative, a distance by none."
        return Finding(question, f"not at the teacher: {found}", "wrong", "it drives the student away", mend)
    distance = float((ours - theirs).abs().sum(1).mean() / 2)
    sure = float(ours.amax(1).mean()), float(theirs.amax(1).mean())
    found = (
        f"not where the student equals the teacher ({equal:.3g}) but at {lowest:.3g}, where {distance:.0%} of the "
        f"probability lies elsewhere and the student is {sure[0]:.0%} sure (teacher: {sure[1]:.0%})"
    )
    mend = (
        "Meant in losses with labels (NKD, OFA) or a transformed teacher (TTM); else look for a softmax or T too many."
    )
    return Finding(question, found, "look", why, mend)


def _correlation(a: Tensor, b: Tensor, dim: int) -> float:
    a, b = (x - x.mean(dim=dim, keepdim=True) for x in (a, b))
    return float(F.cosine_similarity(a, b, dim=dim).mean())


def far(patient: Patient) -> Finding | None:
    """What is left of the gradient where the student is sure of what the teacher thinks least likely."""
    if not patient.subject.takes("teacher") or not patient.taught:
        return None
    why = "a student that is sure and wrong must be pulled back, or it stays so"
    margin = 20 * patient.temperature
    wrong = margin * F.one_hot(patient.teacher.argmin(dim=1), patient.classes).double()
    left = float(patient.examine(wrong, patient.teacher).pull.norm() / patient.look.pull.norm())
    found = f"{left:.2g} of the ordinary gradient is left where the student is sure of a wrong class"
    if left >= 0.01:
        return Finding("far away", found, "ok", why)
    if softmax_of_probabilities(patient.at, patient.classes, margin):
        mend = "See above." if patient.kind and patient.kind.name == "twice" else _TWICE
        return Finding("far away", f"{found}, as when softmax is applied twice", "wrong", _BOUNDED, mend)
    mend = "So do losses on probabilities (squares, correlations), by design. Otherwise compare logits or logarithms."
    return Finding("far away", found, "look", why, mend)


def certain(patient: Patient) -> Finding | None:
    """A target that stays soft, as softmax of probabilities, although the teacher is sure."""
    if patient.kind or not patient.subject.takes("teacher") or not patient.taught:
        return None
    sharp = []
    for classes in (patient.classes, 2 * patient.classes):
        count = min(classes, len(patient.student))
        sure = 1000 * torch.eye(classes, dtype=torch.float64)[:count]
        labels = torch.arange(count)
        try:
            corner, other = (patient.examine(sure.roll(k, 1), sure, labels).pull for k in (1, 2))
        except RefusedError:
            return None
        scale = (corner - other)[0, 1]
        wanted = sure.roll(1, 1) / 1000 - corner / scale  # of a cross-entropy, whose gradient is scale · (p - target)
        if not scale > 0 or not torch.allclose(wanted.sum(1), torch.ones(count, dtype=torch.float64), atol=1e-3):
            return None
        if float(wanted.min()) <= 1e-4:
            return None
        sharp.append(float((wanted.diagonal() / wanted[:, -1]).log()[: count // 2].mean()))
    if max(abs(each - 1) for each in sharp) > 1e-3:
        return None
    why = "the student is taught to doubt what the teacher is sure of"
    return Finding(
        "a sure teacher", "the target is at most e : 1 in favour of the teacher's class", "wrong", why, _TWICE
    )


def learned(patient: Patient) -> Finding | None:
    found = patient.look.learned
    if not found:
        return None
    why = "what gets a gradient but is in no optimizer stays as it began"
    loss = patient.subject.loss
    known = {id(p) for p in loss.parameters()} if isinstance(loss, nn.Module) else set()
    lost = [tuple(each.shape) for each in found if id(each) not in known]
    if not lost:
        return Finding("what it learns", f"{len(found)} parameters of its own", "ok", why)
    if isinstance(loss, nn.Module):
        mend = "Keep them as nn.Parameter, in nn.ParameterList or nn.ModuleList; a plain list hides them."
        text = f"{len(lost)} learned tensors are not in its parameters()"
        return Finding("what it learns", text, "wrong", why, mend)
    text = f"{len(lost)} learned tensors besides the student"
    return Finding("what it learns", text, "look", why, "Make sure that the optimizer has them.")

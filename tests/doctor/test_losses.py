"""`limbeck.check`: sound losses pass, and every known mistake is named by the finding that should name it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import mistakes as m
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import limbeck
from limbeck import objectives as o
from limbeck.doctor.losses import check
from limbeck.doctor.report import Report
from limbeck.errors import LimbeckError
from limbeck.objectives.promises import promised, promises

Loss = Callable[..., Tensor]


def dml(student: Tensor, teacher: Tensor) -> Tensor:
    return o.dml_loss(student, [teacher])


OURS: dict[str, Loss] = {
    "kd": o.kd_loss,
    "logit_mse": o.logit_mse_loss,
    "logit_mse paper": functools.partial(o.logit_mse_loss, form="paper"),
    "dkd": o.dkd_loss,
    "dist": o.dist_loss,
    "nkd": o.nkd_loss,
    "nkd cifar100": functools.partial(o.nkd_loss, temperature=3, gamma=3.5),
    "ttm": o.ttm_loss,
    "wttm": o.wttm_loss,
    "ctkd": o.ctkd_loss,
    "mlld": o.mlld_loss,
    "mlld elementwise": functools.partial(o.mlld_loss, masks="elementwise"),
    "wsld": o.wsld_loss,
    "ofa": o.ofa_loss,
    "ofa 1.5": functools.partial(o.ofa_loss, eps=1.5),
    "tf_kd": o.tf_kd_loss,
    "tf_kd paper": functools.partial(o.tf_kd_loss, form="paper"),
    "dml": dml,
    "standardised kd": o.standardised(o.kd_loss),
    "standardised dkd": o.standardised(o.dkd_loss),
    "standardised dist": o.standardised(o.dist_loss),
    "standardised mse": o.standardised(o.logit_mse_loss),
    "fitnet": o.fitnet_loss,
    "simkd": o.simkd_loss,
    "sp": o.sp_loss,
    "pkt": o.pkt_loss,
    "rkd distance": o.rkd_distance_loss,
    "rkd angle": o.rkd_angle_loss,
    "cc": o.cc_loss,
}


@functools.cache
def ours(name: str) -> Report:
    return check(OURS[name])


@functools.cache
def mistaken(name: str) -> Report:
    return check(getattr(m, name))


@pytest.mark.parametrize("name", OURS)
def test_every_loss_of_ours_passes(name: str) -> None:
    report = ours(name)
    assert report.ok, str(report)
    assert "Nothing is wrong." in str(report)


@pytest.mark.parametrize("name", ["kd", "dkd", "dist", "nkd", "mlld", "ofa", "wsld", "standardised kd"])
@pytest.mark.parametrize("classes", [3, 100])
def test_with_few_classes_and_with_many(name: str, classes: int) -> None:
    report = check(OURS[name], classes=classes)
    assert report.ok, str(report)


@pytest.mark.parametrize(
    ("name", "questions"),
    [
        ("kd", set()),
        ("dkd", set()),
        ("ctkd", set()),
        ("standardised kd", set()),
        ("logit_mse", {"a constant added"}),
        ("nkd", {"least value"}),
        ("ttm", {"least value"}),
        ("wttm", {"least value", "classes"}),
        ("ofa 1.5", {"least value", "T²"}),
        ("wsld", {"least value", "gradient"}),
        ("dist", {"far away", "T²", "batch size"}),
        ("mlld", {"batch size"}),
        ("sp", {"batch size", "a constant added"}),
        ("pkt", {"batch size", "a constant added"}),
    ],
)
def test_what_is_meant_is_told_and_not_blamed(name: str, questions: set[str]) -> None:
    assert {finding.question for finding in ours(name).look} == questions


MISTAKES: list[tuple[str, str, str, str]] = [
    ("reduction_mean", "classes", "wrong", "10 times too small"),
    ("reduction_mean_and_labels", "classes", "wrong", "10 times too small"),
    ("reduction_sum", "batch size", "look", "twice the batch, twice the loss"),
    ("no_t_squared", "T²", "wrong", "goes as T^-2.0"),
    ("t_and_not_squared", "T²", "wrong", "goes as T^-1.0"),
    ("no_t_squared_without_labels", "T²", "wrong", "not there without labels"),
    ("no_t_squared_and_t_fixed", "T²", "look", "not there: 1 times the divergence, at T = 4"),
    ("the_labs", "what it is", "wrong", "softmax applied twice at T = 5"),
    ("the_labs", "far away", "wrong", "as when softmax is applied twice"),
    ("twice_and_labels", "what it is", "wrong", "softmax applied twice at T = 4"),
    ("twice_and_labels", "far away", "wrong", "as when softmax is applied twice"),
    ("twice_at_an_odd_temperature", "far away", "wrong", "as when softmax is applied twice"),
    ("twice_on_both_sides", "what it is", "wrong", "softmax applied twice"),
    ("twice_in_the_teacher", "what it is", "wrong", "softmax applied twice"),
    ("twice_in_an_odd_teacher", "a sure teacher", "wrong", "at most e : 1"),
    ("not_detached", "teacher's gradient", "wrong", "reaches the teacher, 1 times the student's"),
    ("arguments_swapped", "student's gradient", "wrong", "goes into the teacher instead of the student"),
    ("kl_div_swapped", "what it is", "look", "the student is the target"),
    ("kl_div_swapped", "logits of ±1e4", "wrong", "not finite: the student"),
    ("log_target_missing", "ordinary logits", "wrong", "not finite (nan)"),
    ("log_target_missing", "what it is", "wrong", "log-probabilities, taken for probabilities"),
    ("log_target_unasked", "what it is", "wrong", "probabilities, taken for their logarithms"),
    ("no_logarithm", "what it is", "wrong", "which it takes for their logarithms"),
    ("raw_logits", "ordinary logits", "wrong", "not finite (nan)"),
    ("softmax_in_place", "its inputs", "wrong", "written over"),
    ("divided_in_place", "its inputs", "wrong", "written over"),
    ("overwritten_before_backward", "its inputs", "wrong", "what the gradient needs is written over"),
    ("over_the_batch", "a constant added", "look", "to a class's logits changes nothing"),
    ("student_detached", "student's gradient", "wrong", "no gradient reaches the student"),
    ("log_of_softmax", "logits of ±1e4", "wrong", "not finite: the student"),
    ("divides_by_the_deviation", "constant rows", "wrong", "not finite: the student's all equal"),
    ("sums_in_half", "half precision", "wrong", "not finite in float16"),
    ("masked_labels_are_nan", "labels of -1", "wrong", "not finite where pictures have no label"),
    ("last_class_for_unlabelled", "labels of -1", "look", "taken for class 9"),
    ("sound", "labels of -1", "look", "refused: IndexError"),
    ("wrong_sign", "least value", "wrong", "greatest where the student equals the teacher"),
    ("wrong_sign_between_classes", "least value", "wrong", "not at the teacher"),
    ("noisy", "repeatable", "look", "another loss the second time"),
]


@pytest.mark.parametrize(("name", "question", "verdict", "finding"), MISTAKES)
def test_every_known_mistake_is_named(name: str, question: str, verdict: str, finding: str) -> None:
    report = mistaken(name)
    assert report[question].verdict == verdict, str(report)
    assert finding in report[question].finding
    assert report[question].why
    assert report[question].mend or question == "student's gradient"
    assert report.ok == (not any(row[2] == "wrong" for row in MISTAKES if row[0] == name)), str(report)


@pytest.mark.parametrize(
    ("name", "question", "mend"),
    [
        ("reduction_mean", "classes", "reduction='batchmean'"),
        ("no_t_squared", "T²", "Multiply the softened term by temperature ** 2"),
        ("the_labs", "what it is", "Softmax is applied twice"),
        ("not_detached", "teacher's gradient", "teacher.detach()"),
        ("arguments_swapped", "student's gradient", "the student comes first here"),
        ("kl_div_swapped", "what it is", "the arguments of kl_div are swapped"),
        ("log_target_missing", "ordinary logits", "say log_target=True"),
        ("raw_logits", "ordinary logits", "It takes probabilities or log-probabilities"),
        ("divided_in_place", "its inputs", "without the underscore"),
        ("over_the_batch", "a constant added", "say dim=1"),
        ("wrong_sign", "least value", "wrong sign"),
    ],
)
def test_the_mend_is_named(name: str, question: str, mend: str) -> None:
    report = mistaken(name)
    assert mend in report[question].mend
    assert mend in " ".join(str(report).split())


@pytest.mark.parametrize("name", ["reduction_mean", "no_t_squared", "not_detached", "softmax_in_place", "the_labs"])
def test_a_mistake_is_blamed_for_itself_alone(name: str) -> None:
    """The questions that a mistake does not touch are answered as for a sound loss."""
    expected = {row[1] for row in MISTAKES if row[0] == name and row[2] == "wrong"}
    assert {finding.question for finding in mistaken(name).wrong} == expected


def test_labels_are_set_aside() -> None:
    report = check(m.sound)
    assert report.note == "Set aside: 0.1 · cross-entropy with the labels; the rest was examined."
    assert "where the student equals the teacher" in report["least value"].finding
    assert report["what it is"].finding.startswith("cross-entropy or KL(teacher ‖ student) at T = 4")


def test_the_labs_own_objective_is_diagnosed() -> None:
    from limbeck.recipes.lab3 import DoubleSoftmax

    def lab(student: Tensor, teacher: Tensor) -> Tensor:
        return DoubleSoftmax().loss(o.Outputs(student), o.Outputs(teacher), None, nn.Module())  # type: ignore[arg-type]

    report = check(lab)
    assert {"what it is", "far away", "teacher's gradient"} <= {finding.question for finding in report.wrong}


class TestBoundedButSound:
    """Losses on probabilities leave little gradient far away, too, and are not softmax twice."""

    @staticmethod
    def squares(student: Tensor, teacher: Tensor) -> Tensor:
        return (F.softmax(student, 1) - F.softmax(teacher.detach(), 1)).square().sum(1).mean()

    @staticmethod
    def jensen_shannon(student: Tensor, teacher: Tensor) -> Tensor:
        p, q = F.log_softmax(student, 1), F.log_softmax(teacher.detach(), 1)
        middle = torch.logaddexp(p, q) - torch.tensor(2.0).log()
        return ((p.exp() * (p - middle)).sum(1) + (q.exp() * (q - middle)).sum(1)).mean() / 2

    @pytest.mark.parametrize("loss", [squares, jensen_shannon])
    @pytest.mark.parametrize("classes", [3, 10, 100])
    def test_they_pass(self, loss: Loss, classes: int) -> None:
        report = check(loss, classes=classes)
        assert report.ok, str(report)
        assert report["far away"].verdict == "look"

    @pytest.mark.parametrize("classes", [3, 100])
    def test_twice_is_found_with_any_number_of_classes(self, classes: int) -> None:
        assert check(m.the_labs, classes=classes)["far away"].verdict == "wrong"
        assert check(m.twice_at_an_odd_temperature, classes=classes)["far away"].verdict == "wrong"


class TestPromises:
    def test_ours_are_carried_over(self) -> None:
        assert promised(o.kd_loss) == {"least", "shift", "batch", "temperature"}
        assert promised(o.standardised(o.kd_loss)) == promised(o.kd_loss)
        assert promised(functools.partial(o.ofa_loss, eps=1.5)) == set()

    @pytest.mark.parametrize(
        ("promise", "loss", "question"),
        [
            ("least", functools.partial(o.ttm_loss), "least value"),
            ("shift", functools.partial(o.logit_mse_loss), "a constant added"),
            ("batch", m.reduction_sum, "batch size"),
            ("temperature", functools.partial(o.ofa_loss), "T²"),
        ],
    )
    def test_a_broken_promise_is_a_fault(self, promise: Any, loss: Loss, question: str) -> None:
        def bound(*args: Any, **kwargs: Any) -> Tensor:
            return loss(*args, **kwargs)

        functools.update_wrapper(bound, loss)
        bound.__dict__.pop("__limbeck_promises__", None)
        assert check(bound)[question].verdict == "look"
        finding = check(promises(promise)(bound))[question]
        assert finding.verdict == "wrong"
        assert "promises otherwise" in finding.mend

    def test_an_unknown_promise(self) -> None:
        with pytest.raises(LimbeckError, match=r"unknown promise 'leest'. Did you mean 'least'"):
            promises("leest")  # type: ignore[arg-type]


class TestLearned:
    def test_a_variance_in_a_plain_list_is_found(self) -> None:
        report = check(m.HiddenSigma())
        assert report["what it learns"].verdict == "wrong"
        assert "1 learned tensors are not in its parameters()" in report["what it learns"].finding
        assert "a plain list hides them" in report["what it learns"].mend

    def test_a_registered_one_is_not_blamed(self) -> None:
        assert check(m.RegisteredSigma())["what it learns"].finding == "1 parameters of its own"


def test_nothing_is_left_changed() -> None:
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    with warnings.catch_warnings(record=True) as said, torch.no_grad():
        warnings.simplefilter("always")
        check(m.reduction_mean)
        check(m.noisy)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not said


def test_the_report_is_a_page() -> None:
    report = limbeck.check(m.no_t_squared)
    lines = str(report).splitlines()
    assert lines[0] == "no_t_squared(student, teacher, T) at T = 4"
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("  wrong  T²") for line in lines)
    assert lines[-1] == "Wrong: T²."
    with pytest.raises(LimbeckError, match=r"unknown question 'batch'. Did you mean 'batch size'"):
        report["batch"]

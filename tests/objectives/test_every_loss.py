"""What holds of every loss: it is its reference, to 1e-6 in value and gradient, and keeps what its kind promises."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from losses import CASES, CLASSES, FEATURES, LABELS, LOGITS, Case, Loss
from torch import Tensor

from limbeck import objectives as o
from limbeck.errors import LimbeckError
from limbeck.objectives.cc import cc_kernel_loss
from limbeck.objectives.factor import paraphraser_loss

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def holding(*words: str, among: dict[str, Case] = CASES) -> pytest.MarkDecorator:
    found = {name: case for name, case in among.items() if set(words) & set(case.holds.split())}
    return pytest.mark.parametrize("case", found.values(), ids=found.keys())


def repeated(tensor: Tensor, times: int) -> Tensor:
    return tensor.detach().repeat(times, *[1] * (tensor.ndim - 1))


def slope(loss: Loss, student: Tensor, teacher: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    student = student.detach().requires_grad_()
    value = loss(student, teacher.detach(), labels)
    (gradient,) = torch.autograd.grad(value, student)
    return value.detach(), gradient


def test_none_is_missing() -> None:
    called = {name for case in CASES.values() for name in case.loss.__code__.co_names}
    assert {name for name in o.__all__ if name.endswith("_loss")} <= called


class TestReference:
    """Relative to the value, and to the length of the gradient."""

    def check(self, case: Case, dtype: torch.dtype, within: float) -> None:
        student, teacher, labels = case.inputs(dtype)
        value, gradient = slope(case.loss, student, teacher, labels)
        expected, wanted = slope(case.reference, student.double(), teacher.double(), labels)
        assert expected.abs() > 1e-4
        assert value.item() == pytest.approx(expected.item(), rel=within, abs=0)
        assert (gradient - wanted).norm() <= within * wanted.norm()

    @every
    def test_the_formula(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        """In float64, where rounding hides nothing: what is float32 in the losses is float64 meanwhile."""
        monkeypatch.setattr(Tensor, "float", Tensor.double)
        self.check(case, torch.float64, 1e-10)

    @every
    def test_as_it_is_computed(self, case: Case) -> None:
        self.check(case, torch.float32, 1e-6)


@every
def test_a_scalar_in_float32_from_any_precision_and_under_autocast(case: Case) -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        student, teacher, labels = case.inputs(dtype)
        loss = case.loss(student, teacher, labels)
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        assert torch.equal(loss, case.loss(student.float(), teacher.float(), labels))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(loss, case.loss(student.float(), teacher.float(), labels))


@holding("teacher")
def test_the_student_learns_and_the_teacher_does_not(case: Case) -> None:
    student, teacher, labels = case.inputs()
    loss = case.loss(student, teacher, labels)
    loss.backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.flatten(1).any(1).tolist() == [label >= 0 or "labels" not in case.holds for label in labels]
    assert case.loss(student, teacher.roll(1, 0), labels) != loss


@holding("zero", "least")
def test_the_least_value_is_where_the_student_equals_the_teacher(case: Case) -> None:
    _, teacher, labels = case.inputs()
    equal = case.equal(teacher.detach())
    value, gradient = slope(case.loss, equal, teacher, labels)
    elsewhere, steep = slope(case.loss, equal.roll(1, 0), teacher, labels)
    assert "least" in case.holds or value.abs() < 1e-4 * elsewhere
    assert gradient.norm() < 1e-3 * steep.norm()
    draws = torch.Generator().manual_seed(2)
    for size in (0.1, 1.0, 10.0):
        assert case.loss(equal + size * torch.randn(equal.shape, generator=draws), teacher, labels) > value


@holding("shift")
def test_a_constant_added_to_a_pictures_logits_changes_nothing(case: Case) -> None:
    student, teacher, labels = case.inputs()
    shifts = torch.arange(5.0)[:, None] - 2
    torch.testing.assert_close(case.loss(student + shifts, teacher - 3 * shifts, labels), case.loss(*case.inputs()))


@pytest.mark.parametrize(
    ("loss", "power"),
    [
        (o.kd_loss, 2),
        (o.dist_loss, 2),
        (lambda s, t, temperature: o.ctkd_loss(s, t, torch.tensor(float(temperature))), 2),
        (lambda s, t, temperature: o.dkd_loss(s, t, LABELS, temperature), 2),
        (lambda s, t, temperature: o.ofa_loss(s, t, LABELS, 1.5, temperature), 0),
    ],
    ids=["kd", "dist", "ctkd", "dkd", "ofa"],
)
@pytest.mark.parametrize("temperature", [0.5, 4, 20])
def test_the_factor_t_squared(loss: Callable[..., Tensor], power: float, temperature: float) -> None:
    """Of logits that grow with the temperature."""
    student, teacher, _ = CASES["kd"].inputs()
    scaled = loss(temperature * student, temperature * teacher, temperature)
    torch.testing.assert_close(scaled, temperature**power * loss(student, teacher, 1))


@holding("batch")
def test_it_does_not_depend_on_the_size_of_the_batch(case: Case) -> None:
    student, teacher, labels = case.inputs()
    thrice = case.loss(repeated(student, 3), repeated(teacher, 3), labels.repeat(3))
    torch.testing.assert_close(thrice, case.loss(student, teacher, labels), rtol=1e-6, atol=0)


@holding("labels")
def test_unlabelled_pictures_do_not_count(case: Case) -> None:
    student, teacher, labels = case.inputs()
    loss, known = case.loss(student, teacher, labels), labels >= 0
    torch.testing.assert_close(loss, case.loss(student[known], teacher[known], labels[known]), rtol=1e-6, atol=0)
    loss.backward()
    assert student.grad is not None
    assert student.grad.any(1).tolist() == known.tolist()
    nothing, gradient = slope(case.loss, student, teacher, torch.full_like(labels, -1))
    assert nothing == 0
    assert not gradient.any()


@pytest.mark.parametrize(("form", "by_hand"), [("released", 2 * 0.1308120), ("paper", 0.1308120)])
def test_two_peers_by_hand(form: Any, by_hand: float) -> None:
    # each 3/4 : 1/4, one or the other way about, against 1/2 : 1/2: 3/4 ln(3/2) + 1/4 ln(1/2)
    ln3 = torch.tensor(3.0).log().item()
    peers = [torch.tensor([[ln3, 0.0]]), torch.tensor([[0.0, ln3]])]
    assert float(o.dml_loss(torch.zeros(1, 2), peers, form)) == pytest.approx(by_hand, rel=2e-6)


HARD_ROWS = torch.tensor(
    [
        [1e4, -1e4, 0, 0, 3, 0],
        [-1e4, 1e4, 0, 0, 3, 0],
        [7.0] * 6,
        [0.0] * 6,
        [-1e4] * 6,
        [1, 2, -60, 0, 0, 0],
        [1e4] * 6,
    ]
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("case", LOGITS.values(), ids=LOGITS.keys())
def test_extreme_logits_and_constant_rows(case: Case, dtype: torch.dtype) -> None:
    """Each row against each, whatever its label; then rows that are all alike."""
    rows = HARD_ROWS.to(dtype)
    pairs = [(rows, rows.roll(shift, 0)) for shift in range(len(rows))]
    pairs += [(row.expand(5, -1), other.expand(5, -1)) for row in rows for other in (rows[0], rows[3])]
    for ours, theirs in pairs:
        for label in (0, 1, 5, -1):
            value, gradient = slope(case.loss, ours, theirs, torch.full((len(ours),), label))
            assert value.isfinite(), (ours, theirs, label)
            assert gradient.isfinite().all(), (ours, theirs, label)


def hard(shape: tuple[int, ...]) -> dict[str, Tensor]:
    draws = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    one, half = torch.ones_like(draws), len(draws) // 2
    found = {"zeros": 0 * one, "all alike": 0.3 * one, "nearly alike": one + 1e-7 * draws, "negative": -draws.abs()}
    found |= {"huge": 1e4 * draws, "extreme": 1e4 * one, "tiny": 1e-6 * draws, "tinier": 1e-20 * one}
    found["one of zeros"] = torch.cat([0 * draws[:1], draws[1:]])
    found["coinciding"] = torch.cat([draws[:1], draws[:1], draws[2:]])
    found["opposite"] = torch.cat([draws[:half], -draws[:half], draws[2 * half :]])
    return found


@pytest.mark.parametrize("case", FEATURES.values(), ids=FEATURES.keys())
def test_extreme_and_constant_features(case: Case) -> None:
    """Maps of a single pixel, too."""
    for ours, student in hard(case.ours).items():
        for theirs, teacher in hard(case.theirs or case.ours).items():
            for size in (None, 1) if student.ndim == teacher.ndim == 4 else (None,):
                given = student[..., :size, :size], teacher[..., :size, :size]
                value, gradient = slope(case.loss, *(given if size else (student, teacher)), LABELS[: len(student)])
                assert value.isfinite(), (ours, theirs, size)
                assert gradient.isfinite().all(), (ours, theirs, size)


@every
def test_it_compiles_in_one_piece_and_leaves_its_inputs_alone(case: Case) -> None:
    torch.compiler.reset()
    student, teacher, labels = case.inputs()
    compiled = torch.compile(case.loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(student, teacher, labels), case.loss(student, teacher, labels))
    for before, after in zip(case.inputs(), (student, teacher, labels), strict=True):
        assert torch.equal(before, after)


@holding("teacher")
def test_batches_that_differ_are_refused(case: Case) -> None:
    student, teacher, labels = case.inputs()
    said = r"^student .*\(2, .*\) and teacher .*\([35], .*\) (differ in shape|do not fit)\."
    with pytest.raises(LimbeckError, match=said):
        case.loss(student[:2], teacher, labels[:2])


@holding("teacher", among=LOGITS)
def test_logits_that_would_be_broadcast_are_refused(case: Case) -> None:
    student, teacher, labels = case.inputs()
    for ours, theirs in ((student, teacher[:1]), (student, teacher[:, :1]), (student[:1], teacher)):
        said = rf"^student logits \({len(ours)}, 6\) and teacher logits \({len(theirs)}, {theirs.shape[1]}\) differ in"
        with pytest.raises(LimbeckError, match=rf"{said} shape\. Both must be \(batch, classes\)"):
            case.loss(ours, theirs, labels[: len(ours)])


FIRST = {"teacher": torch.zeros(2, CLASSES), "labels": torch.zeros(2, dtype=torch.int64)}


@pytest.mark.parametrize(
    ("loss", "option", "example"),
    [
        *((loss, "temperature", 4) for loss in (o.kd_loss, o.dkd_loss, o.dist_loss, o.nkd_loss, o.wsld_loss)),
        *((o.tf_kd_loss, "temperature", 4), (o.standardised(o.kd_loss), "temperature", 4)),
        *((o.ofa_loss, "temperature", 1), (o.ofa_loss, "eps", 1), (o.ab_loss, "margin", 1)),
        *((o.ttm_loss, "gamma", 0.1), (o.wttm_loss, "gamma", 0.1), (cc_kernel_loss, "gamma", 0.4)),
    ],
)
@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_an_impossible_value_is_refused(loss: Callable[..., Tensor], option: str, example: float, value: float) -> None:
    given = [FIRST[name] for name in list(inspect.signature(loss).parameters)[1:] if name in FIRST]
    with pytest.raises(
        LimbeckError, match=rf"^{option} = {value} is not possible: it must be above 0\. Try {example}\.$"
    ):
        loss(torch.zeros(2, CLASSES), *given, **{option: value})


@pytest.mark.parametrize(
    ("loss", "published"),
    [
        (o.kd_loss, {"temperature": 4}),
        (o.dkd_loss, {"temperature": 4, "alpha": 1, "beta": 8}),
        (o.dist_loss, {"temperature": 4, "beta": 1, "gamma": 1}),
        (o.nkd_loss, {"temperature": 1, "gamma": 1.5}),
        (o.ttm_loss, {"gamma": 0.1}),
        (o.wttm_loss, {"gamma": 0.1}),
        (o.mlld_loss, {"temperatures": (2, 3, 4, 5, 6), "masks": "released"}),
        (o.wsld_loss, {"temperature": 4}),
        (o.ofa_loss, {"eps": 1, "temperature": 1, "form": "released"}),
        (o.tf_kd_loss, {"temperature": 20, "correct": 0.99, "form": "released"}),
        (o.cross_entropy, {"label_smoothing": 0}),
        (o.standardise, {"correction": 1}),
        (o.logit_mse_loss, {"form": "mean"}),
        (o.dml_loss, {"form": "released"}),
        *((loss, {"form": "released"}) for loss in (o.fitnet_loss, o.attention_loss, o.vid_loss, o.pkt_loss)),
        *((loss, {"form": "released"}) for loss in (o.fsp_loss, o.factor_loss, paraphraser_loss)),
        (o.ab_loss, {"margin": 1, "later_layers": 0, "form": "released"}),
        (cc_kernel_loss, {"gamma": 0.4, "order": 2}),
        (o.ofd_loss, {"later_layers": 0}),
        (o.crd_loss, {"labels": None}),
    ],
)
def test_the_published_defaults(loss: Callable[..., Tensor], published: dict[str, Any]) -> None:
    parameters = inspect.signature(loss).parameters.values()
    assert {each.name: each.default for each in parameters if each.default is not each.empty} == published

"""Descriptions are frozen and strict, and say what is wrong with what they are given."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator

from limbeck.errors import LimbeckError
from limbeck.spec import Family, Spec, SpecError


class Inner(Spec):
    depth: int = Field(1, ge=0)
    rate: float = 0.5
    names: tuple[str, ...] = ()


class Outer(Spec):
    title: str
    inner: Inner = Inner()
    low: int = 0
    high: int = 9

    @field_validator("title")
    @classmethod
    def _no_spaces(cls, title: str) -> str:
        if " " in title:
            raise ValueError("a title has no spaces")
        return title

    @model_validator(mode="after")
    def _in_order(self) -> Outer:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


class Mistaken(Spec):
    depth: int = Field(-1, ge=0)


def message(**fields: object) -> str:
    with pytest.raises(LimbeckError) as caught:
        Outer(**{"title": "t", **fields})
    return str(caught.value)


def test_a_mistyped_field_is_refused_with_the_nearest() -> None:
    expected = "Outer.innner: there is no such field. Did you mean 'inner'? Known: title, inner, low, high."
    assert message(innner=Inner()) == expected


def test_an_unknown_field_that_is_near_to_none() -> None:
    assert message(zzz=1) == "Outer.zzz: there is no such field. Known: title, inner, low, high."


def test_a_missing_field() -> None:
    with pytest.raises(LimbeckError, match=r"^Outer\.title: this field must be given\.$"):
        Outer(**{})


def test_an_impossible_value() -> None:
    with pytest.raises(LimbeckError, match=r"^Inner\.depth = -3 is not possible: should be greater than or equal to 0"):
        Inner(depth=-3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(LimbeckError, match=rf"^Inner\.rate = {value} is not possible: should be a finite number\.$"):
        Inner(rate=value)


def test_a_value_of_another_type() -> None:
    with pytest.raises(LimbeckError, match=r"^Inner\.depth = 'deep' is not possible: should be a valid integer"):
        Inner(depth="deep")


def test_the_faults_one_by_one() -> None:
    with pytest.raises(SpecError) as caught:
        Inner(**{"depth": -1, "rate": "fast", "names": ("a", 5), "dept": 3})
    assert [(fault.field, fault.said) for fault in caught.value.faults] == [
        ("depth", "should be greater than or equal to 0"),
        ("rate", "should be a valid number"),
        ("names", "should be a valid string"),
        ("dept", "there is no such field. Did you mean 'depth'? Known: depth, rate, names"),
    ]
    assert str(caught.value) == "\n".join(fault.line for fault in caught.value.faults)


def test_the_place_within_a_list() -> None:
    with pytest.raises(LimbeckError, match=r"^Inner\.names\.1 = 5 is not possible: should be a valid string"):
        Inner(names=("a", 5))


def test_a_fault_in_a_nested_description() -> None:
    assert message(inner={"dept": 3}).startswith("Inner.dept: there is no such field. Did you mean 'depth'?")
    assert message(inner=3).startswith("Outer.inner = 3 is not possible: should be")


def test_every_fault_has_its_line() -> None:
    lines = message(low="a", hihg=3).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["Outer.low", "Outer.hihg:"]


def test_a_fault_found_by_a_rule_of_ones_own() -> None:
    assert message(title="a b") == "Outer.title = 'a b' is not possible: a title has no spaces."


def test_a_fault_of_all_fields_together_does_not_repeat_them() -> None:
    assert message(low=10) == "Outer is not possible: low must not be above high."


def test_defaults_are_validated() -> None:
    with pytest.raises(LimbeckError, match=r"^Mistaken\.depth = -1 is not possible"):
        Mistaken()


def test_it_is_frozen() -> None:
    spec = Inner()
    with pytest.raises(ValidationError, match="frozen"):
        spec.depth = 2  # type: ignore[misc]
    assert spec.depth == 1
    assert hash(spec) == hash(Inner())


class TestWith:
    def test_the_changed_copy_and_the_original(self) -> None:
        original = Outer(title="t", inner=Inner(depth=4), low=2)
        changed = original.with_(low=3)
        assert changed == Outer(title="t", inner=Inner(depth=4), low=3)
        assert original.low == 2

    def test_it_validates_each_field(self) -> None:
        with pytest.raises(LimbeckError, match=r"^Inner\.depth = -1 is not possible"):
            Inner().with_(depth=-1)

    def test_it_validates_the_whole(self) -> None:
        with pytest.raises(LimbeckError, match=r"^Outer is not possible: low must not be above high\.$"):
            Outer(title="t", high=4).with_(low=5)

    def test_it_knows_no_other_fields(self) -> None:
        with pytest.raises(LimbeckError, match=r"^Inner\.deepth: there is no such field\. Did you mean 'depth'"):
            Inner().with_(deepth=2)


class Shape(Family):
    def area(self) -> float:
        raise NotImplementedError


class Square(Shape):
    name: Literal["square"] = "square"
    side: float = Field(1.0, gt=0)


class Circle(Shape):
    name: Literal["circle"] = "circle"
    radius: float = Field(1.0, gt=0)


class Drawing(Spec):
    shape: SerializeAsAny[Shape] = Square()
    other: SerializeAsAny[Shape] | None = None


class TestFamily:
    def test_whoever_subclasses_it_belongs_to_it(self) -> None:
        assert Shape.members() == {"square": Square, "circle": Circle}
        assert Circle.members() == {"circle": Circle}

    def test_a_member_goes_through_json_whole(self) -> None:
        drawing = Drawing(shape=Circle(radius=2), other=Square(side=3))
        again = Drawing(**json.loads(drawing.model_dump_json()))
        assert again == drawing
        assert type(again.shape) is Circle

    def test_a_name_is_enough(self) -> None:
        assert Drawing(**{"shape": "circle"}).shape == Circle()

    def test_a_name_that_does_not_exist(self) -> None:
        with pytest.raises(
            LimbeckError, match=r"^unknown shape 'cirle'\. Did you mean 'circle'\? Known: circle, square\."
        ):
            Drawing(**{"shape": "cirle"})
        with pytest.raises(
            LimbeckError, match=r"^Drawing\.shape = .* is not possible: it needs a name; known: square, circle"
        ):
            Drawing(**{"shape": {"side": 3}})

    def test_a_member_is_as_strict_as_any_description(self) -> None:
        with pytest.raises(LimbeckError, match=r"^Circle\.radius = -1 is not possible"):
            Drawing(**{"shape": {"name": "circle", "radius": -1}})
        with pytest.raises(LimbeckError, match=r"^Square\.radius: there is no such field"):
            Drawing(**{"shape": {"name": "square", "radius": 1}})
        with pytest.raises(LimbeckError, match=r"Square is called 'square', not 'circle'"):
            Square(name="circle")

    def test_a_member_has_a_name_of_its_own(self) -> None:
        with pytest.raises(TypeError, match=r"^Large needs a name of its own: 'square' is Square's$"):
            type("Large", (Square,), {"__module__": "elsewhere", "__annotations__": {}})
        assert Shape.members()["square"] is Square

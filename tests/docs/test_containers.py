"""The Dockerfile and the dev container name what there is. They are not built here."""

from __future__ import annotations

import json
import re
import tomllib

from pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
DEVCONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))


def test_python_is_one_that_limbeck_supports() -> None:
    (version,) = re.findall(r"python:(3\.\d+)-slim", DOCKERFILE)
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_torch_is_what_the_project_asks_for() -> None:
    asked = re.findall(r'"(torch\w*>=[\d.]+)"', DOCKERFILE)
    assert asked
    assert set(asked) == {need for need in PROJECT["dependencies"] if need.startswith("torch") and "info" not in need}


def test_extras_exist() -> None:
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)", DOCKERFILE, re.MULTILINE)
    (developers,) = re.findall(r"\.\[(\w+)\]", DEVCONTAINER["postCreateCommand"])
    assert {*extras.split(","), developers} <= set(PROJECT["optional-dependencies"])


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    shown = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert copied == shown
    assert all((ROOT / name).exists() for name in copied)


def test_every_stage_and_argument_is_declared_before_it_is_used() -> None:
    assert re.findall(r"^FROM (\S+) AS (\w+)$", DOCKERFILE, re.MULTILINE) == [
        ("${BASE}", "base"),
        ("base", "develop"),
        ("base", "limbeck"),
    ]
    for use in re.finditer(r"\$\{(\w+)", DOCKERFILE):
        assert use[1] == "PATH" or re.search(rf"^ARG {use[1]}\b", DOCKERFILE[: use.start()], re.MULTILINE), use[1]


def test_nobody_works_as_root() -> None:
    (user,) = set(re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE))
    assert f"useradd --create-home {user} " in DOCKERFILE
    assert DOCKERFILE.count(f"USER {user}\n") == 2
    assert DEVCONTAINER["remoteUser"] == user


def test_the_dev_container_builds_a_stage_of_the_dockerfile() -> None:
    build = DEVCONTAINER["build"]
    assert (ROOT / ".devcontainer" / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert f" AS {build['target']}\n" in DOCKERFILE

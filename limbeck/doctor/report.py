"""What a check found, in plain words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal

from limbeck.errors import unknown

Verdict = Literal["ok", "look", "wrong"]

_WIDTH = 80


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    Attributes:
        question: what was asked, in a word or two; no two findings of a report ask the same.
        finding: what was found.
        verdict: "ok"; "look" for a property that may be meant, and that one should know; "wrong" for a fault.
        why: why it matters, in a line.
        mend: the likely mistake and what to do; empty where there is nothing to mend.
    """

    question: str
    finding: str
    verdict: Verdict
    why: str
    mend: str = ""


@dataclass(frozen=True)
class Report:
    """What `limbeck.check` and `limbeck.check_setup` return; printing it gives a page of text.

    Attributes:
        subject: what was examined.
        findings: the answers, in the order of the questions.
        note: what was set aside, or was not looked at.
    """

    subject: str
    findings: tuple[Finding, ...]
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; there may be something to look at."""
        return not self.wrong

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The faults."""
        return tuple(finding for finding in self.findings if finding.verdict == "wrong")

    @property
    def look(self) -> tuple[Finding, ...]:
        """What may be meant, and should be known."""
        return tuple(finding for finding in self.findings if finding.verdict == "look")

    def __getitem__(self, question: str) -> Finding:
        """The answer to a question.

        Raises:
            LimbeckError: the report has no such question.
        """
        answers = {finding.question: finding for finding in self.findings}
        if question not in answers:
            raise unknown("question", question, answers)
        return answers[question]

    def __str__(self) -> str:
        width = max(len(finding.question) for finding in self.findings)
        lines = [self.subject, ""]
        for finding in self.findings:
            start = f"  {finding.verdict:5}  {finding.question:{width}}  "
            lines += _wrapped(finding.finding, start)
            if finding.verdict != "ok":
                for word, text in (("why", finding.why), ("mend", finding.mend)):
                    lines += _wrapped(text, f"{'':{width + 11}}{word}: ") if text else []
        if self.note:
            lines += ["", *_wrapped(self.note, "  ")]
        return "\n".join([*lines, "", self.verdict()])

    def verdict(self) -> str:
        """The whole in one sentence."""
        wrong, look = (", ".join(finding.question for finding in findings) for findings in (self.wrong, self.look))
        told = f"To know: {look}." if look else ""
        return f"Wrong: {wrong}. {told}".rstrip() if wrong else f"Nothing is wrong. {told}".rstrip()


def _wrapped(text: str, start: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start))

"""Whether a service took a message: its own code in what it answered, not the status by which it answered.

Many services say with status 200 that they did not take a message. Where a service tells by the status alone, so does
its entry here: there is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_HTTP_OK: Final = range(200, 300)
_THROTTLED: Final = 429
_TRANSIENT: Final = (408, 421, 425)
_REFUSED: Final = range(400, 500)
_BUSY: Final = (-1, 500, 503)
_LONGEST_CODE: Final = 12
_LONGEST_WAIT: Final = 86400.0


class Outcome(StrEnum):
    """What became of a message; the later, the less is to be hoped for."""

    TAKEN = "taken"
    THROTTLED = "throttled"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a service's answer means. `problem` is what stands behind its name, without any text of its own.

    `retry_after` are the seconds for which it takes no more, None where it does not say. What was refused would be
    refused again.
    """

    outcome: Outcome
    problem: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service answered: a status of HTTP, the seconds in `Retry-After` if there were any, and its text."""

    status: int
    text: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """Where a service's own code stands: the first of `keys` that is there; `taken` is what it is where all is well.

    `throttled` are codes by which it takes no more for now, and so are `words` in what stands under `reasons`.
    """

    keys: tuple[str, ...]
    taken: int = 0
    throttled: Collection[int] = ()
    reasons: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


_FEISHU: Final = _Code(
    keys=("code", "StatusCode"),
    throttled=(11232, 11247),
    reasons=("msg", "StatusMessage"),
    words=("too many request", "frequency"),
)
_CODES: Final[Mapping[str, _Code]] = {
    "wecombot": _Code(keys=("errcode",), throttled=(45009, 45033)),
    "dingtalk": _Code(keys=("errcode",), throttled=(90018, 90030, 130101)),
    "feishu": _FEISHU,
    "lark": _FEISHU,
    "schan": _Code(keys=("code",), reasons=("message", "info"), words=("次数限制", "过于频繁", "too many")),
    "pushdeer": _Code(keys=("code",)),
    "pushdeers": _Code(keys=("code",)),
    "pushplus": _Code(keys=("code",), taken=200, throttled=(900,)),
    "wxpusher": _Code(keys=("code",), taken=1000),
    "bark": _Code(keys=("code",), taken=200),
    "barks": _Code(keys=("code",), taken=200),
    "wpush": _Code(keys=("code",)),
    "tgram": _Code(keys=("ok",), taken=True),
}
"""What services answer, by their schemes in an Apprise URL; each as its own documentation has it."""


def judge(schemes: Iterable[str], answer: Answer, /) -> Verdict:
    """Tell what a service, which has these schemes, means by an answer."""
    rule = next((_CODES[scheme] for scheme in schemes if scheme in _CODES), None)
    told = _object(answer.text)
    code = None if rule is None else _told_code(rule, told)
    wait = _seconds(answer.retry_after if answer.retry_after is not None else _asked_wait(told))
    if rule is not None and code is not None and _is_throttled(rule, code, told):
        problem = f"takes no more for now (code {_shown(code)})"
        return Verdict(outcome=Outcome.THROTTLED, problem=problem, retry_after=wait)
    if answer.status not in _HTTP_OK:
        return _by_status(answer.status, wait)
    return Verdict(outcome=Outcome.TAKEN) if rule is None else _by_code(rule, code)


def has_own_code(schemes: Iterable[str], /) -> bool:
    """Tell whether a service, which has these schemes, tells by a code of its own whether it took a message."""
    return any(scheme in _CODES for scheme in schemes)


def worst(verdicts: Iterable[Verdict], /) -> Verdict | None:
    """Return the one of which least is to be hoped for, None if there is none."""
    return max(verdicts, key=lambda verdict: list(Outcome).index(verdict.outcome), default=None)


def _by_status(status: int, wait: float | None) -> Verdict:
    """Tell what a status means that is none of success."""
    problem = f"answered with status {status}"
    if status == _THROTTLED:
        return Verdict(outcome=Outcome.THROTTLED, problem=problem, retry_after=wait)
    is_refused = status in _REFUSED and status not in _TRANSIENT
    return Verdict(outcome=Outcome.REFUSED if is_refused else Outcome.FAILED, problem=problem)


def _by_code(rule: _Code, code: int | None) -> Verdict:
    """Tell what a service's own code means, or that there is none."""
    if code is None:
        return Verdict(outcome=Outcome.FAILED, problem="answered with something else than its code")
    if code == rule.taken and isinstance(code, bool) == isinstance(rule.taken, bool):
        return Verdict(outcome=Outcome.TAKEN)
    outcome = Outcome.FAILED if code in _BUSY else Outcome.REFUSED
    return Verdict(outcome=outcome, problem=f"answered with code {_shown(code)}")


def _is_throttled(rule: _Code, code: int, told: Mapping[str, object]) -> bool:
    said = " ".join(str(told.get(key, "")) for key in rule.reasons).lower()
    return code in rule.throttled or any(word in said for word in rule.words)


def _told_code(rule: _Code, told: Mapping[str, object]) -> int | None:
    """Return a service's own code, as a number where it is written as a text; None if there is none."""
    code = next((told[key] for key in rule.keys if key in told), None)
    if isinstance(code, str):
        try:
            return int(code)
        except ValueError:
            return None
    return code if isinstance(code, int) else None


def _shown(code: int) -> str:
    """Return a code as a sentence quotes it: a number that is none of a secret's length."""
    text = str(code).lower()
    return text if len(text) <= _LONGEST_CODE else "…"


def _object(text: str) -> Mapping[str, object]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _asked_wait(told: Mapping[str, object]) -> float | None:
    """Return for how long Telegram or Discord ask to be left alone, in what they answer."""
    parameters = told.get("parameters")
    asked = parameters.get("retry_after") if isinstance(parameters, dict) else told.get("retry_after")
    return float(asked) if isinstance(asked, int | float) else None


def _seconds(asked: float | None) -> float | None:
    """Return a wait that makes sense, None for others."""
    return asked if asked is not None and 0 < asked <= _LONGEST_WAIT else None

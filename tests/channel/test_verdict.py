"""What services answer is understood as they mean it."""

from __future__ import annotations

import pytest

from logmonitor.channel.verdict import Answer, Outcome, Verdict, has_own_code, judge, worst

BUSY = (
    '{"errcode":45009,"errmsg":"api freq out of limit, hint: [1], from ip: 1.2.3.4, more info at https://x/?e=45009"}'
)
FEISHU_BUSY = '{"code":9499,"msg":"too many request","data":{}}'
TELEGRAM_BUSY = '{"ok":false,"error_code":429,"description":"Too Many","parameters":{"retry_after":35}}'
SCHAN_BUSY = '{"message":"超过当天的发送次数限制[5]","code":40001,"info":"","args":[null],"scode":463}'
ODD = "answered with something else than its code"


def said(text: str, status: int = 200, retry_after: float | None = None) -> Answer:
    """Return an answer."""
    return Answer(status=status, text=text, retry_after=retry_after)


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("wecombot", '{"errcode":0,"errmsg":"ok"}'),
        ("dingtalk", '{"errcode":0,"errmsg":"ok"}'),
        ("feishu", '{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}'),
        ("feishu", '{"Extra":null,"StatusCode":0,"StatusMessage":"success"}'),
        ("lark", '{"code":0,"data":{},"msg":"success"}'),
        ("schan", '{"code":0,"message":"","data":{"pushid":"1","readkey":"x","error":"SUCCESS","errno":0}}'),
        ("pushdeer", '{"code":0,"content":{"result":["{}"]}}'),
        ("pushplus", '{"code":200,"msg":"请求成功","data":"x"}'),
        ("wxpusher", '{"code":1000,"msg":"处理成功","data":[],"success":true}'),
        ("bark", '{"code":200,"message":"success","timestamp":1}'),
        ("wpush", '{"code":"0","message":"ok"}'),
        ("tgram", '{"ok":true,"result":{"message_id":1}}'),
        ("ntfy", "whatever"),
        ("json", ""),
    ],
)
def test_judge_knows_what_was_taken(scheme: str, text: str) -> None:
    """Each service's own word for success is one, and so is the status of one that has no other."""
    assert judge((scheme,), said(text)) == Verdict(outcome=Outcome.TAKEN)


@pytest.mark.parametrize(
    ("scheme", "answer", "verdict"),
    [
        ("wecombot", said(BUSY), (Outcome.THROTTLED, "takes no more for now (code 45009)", None)),
        ("wecombot", said('{"errcode":93000}'), (Outcome.REFUSED, "answered with code 93000", None)),
        ("wecombot", said('{"errcode":-1,"errmsg":"busy"}'), (Outcome.FAILED, "answered with code -1", None)),
        ("wecombot", said("<html>a portal wants a password</html>"), (Outcome.FAILED, ODD, None)),
        ("wecombot", said("[0]"), (Outcome.FAILED, ODD, None)),
        ("wecombot", said('{"errcode":null}'), (Outcome.FAILED, ODD, None)),
        ("wecombot", said('{"errcode":"no"}'), (Outcome.FAILED, ODD, None)),
        ("wecombot", said('{"errcode":false}'), (Outcome.REFUSED, "answered with code false", None)),
        ("wecombot", said('{"errcode":12345678901234567890}'), (Outcome.REFUSED, "answered with code …", None)),
        ("dingtalk", said('{"errcode":130101}', 200, 5), (Outcome.THROTTLED, "takes no more for now (code 130101)", 5)),
        ("dingtalk", said('{"errcode":310000}'), (Outcome.REFUSED, "answered with code 310000", None)),
        ("feishu", said(FEISHU_BUSY), (Outcome.THROTTLED, "takes no more for now (code 9499)", None)),
        ("feishu", said(FEISHU_BUSY, 400), (Outcome.THROTTLED, "takes no more for now (code 9499)", None)),
        ("feishu", said('{"code":19024}'), (Outcome.REFUSED, "answered with code 19024", None)),
        ("schan", said(SCHAN_BUSY, 400), (Outcome.THROTTLED, "takes no more for now (code 40001)", None)),
        ("schan", said('{"code":40001,"message":"[AUTH]"}', 400), (Outcome.REFUSED, "answered with status 400", None)),
        ("tgram", said(TELEGRAM_BUSY, 429), (Outcome.THROTTLED, "answered with status 429", 35)),
        ("tgram", said('{"ok":false}'), (Outcome.REFUSED, "answered with code false", None)),
        ("tgram", said('{"ok":1}'), (Outcome.REFUSED, "answered with code 1", None)),
        ("discord", said('{"retry_after":0.75}', 429), (Outcome.THROTTLED, "answered with status 429", 0.75)),
        ("ntfy", said("", 429, 1e9), (Outcome.THROTTLED, "answered with status 429", None)),
        ("ntfy", said("", 403), (Outcome.REFUSED, "answered with status 403", None)),
        ("ntfy", said("", 408), (Outcome.FAILED, "answered with status 408", None)),
        ("ntfy", said("", 503), (Outcome.FAILED, "answered with status 503", None)),
        ("ntfy", said("", 301), (Outcome.FAILED, "answered with status 301", None)),
        ("tgram", said("[" * 100_000, 502), (Outcome.FAILED, "answered with status 502", None)),
    ],
)  # fmt: skip
def test_judge_knows_what_was_not_taken(
    scheme: str, answer: Answer, verdict: tuple[Outcome, str, float | None]
) -> None:
    """What takes no more for now, what may work later and what never will are told apart, without a service's words."""
    outcome, problem, retry_after = verdict
    assert judge(("other", scheme), answer) == Verdict(outcome=outcome, problem=problem, retry_after=retry_after)


def test_worst_is_that_of_which_least_is_to_be_hoped_for() -> None:
    """One part of a message that was refused makes all of it so."""
    verdicts = [Verdict(outcome=outcome) for outcome in (Outcome.THROTTLED, Outcome.REFUSED, Outcome.TAKEN)]
    assert worst(verdicts) == verdicts[1]
    assert worst(()) is None


def test_has_own_code_knows_services_that_say_200_to_everything() -> None:
    """A service of several schemes is known by any of them."""
    assert has_own_code(("x", "feishu"))
    assert not has_own_code(("ntfy", "ntfys"))

"""The QR rescue, as its admin sees it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zxingcpp
from PIL import Image

from logmonitor import (
    Attachment,
    Content,
    Event,
    EventKind,
    Invocation,
    MessageKey,
    Operation,
    OperationConfig,
    Priority,
    Qr,
    Refusal,
    Session,
    SessionState,
    StoreError,
    Ticket,
)
from logmonitor.session import leave_unconfirmed
from logmonitor.testing import ADMIN, START, RecordingContext, Sent, event, message
from operations.qr_rescue import IMAGE_LIMIT_BYTES, qr_rescue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

URL = "https://login.weixin.qq.com/l/Abc123=="
NEWER_URL = "https://login.weixin.qq.com/l/Def456=="
LOG = Path("/var/log/bob.log")
PNG = b"\x89PNG\r\n\x1a\nan image"


def rescue(**parameters: str) -> Operation:
    """Make the operation under test."""
    return qr_rescue(OperationConfig(watch="bob"), **parameters)


def logged_in() -> RecordingContext:
    """Make a context in which Bob is logged in."""
    return RecordingContext(Session(watch="bob", state=SessionState.LOGGED_IN, user="Bob"))


def scan(url: str = URL, *, life: float | None = None) -> Event:
    """Make a scan event."""
    expires = None if life is None else START + timedelta(seconds=life)
    return event(EventKind.SCAN, qr=Qr(payload=url, first_seen=START, expires=expires), path=LOG)


async def meet(operation: Operation, context: RecordingContext, met: Event) -> None:
    """Let Bob's session meet an event, and the operation the transition."""
    transition = context.happen(met)
    assert transition is not None
    assert operation.on_transition is not None
    await operation.on_transition(context, transition)


async def command(operation: Operation, context: RecordingContext, name: str) -> None:
    """Let the admin send a command."""
    (found,) = (command for command in operation.commands if command.name == name)
    await found.handler(context, Invocation(message=message(name), name=name, watch="bob"))


def texts(context: RecordingContext) -> list[str]:
    """Return what was sent, a QR as what a phone reads from it."""
    return [
        decoded(sent.content) if isinstance(sent.content, Attachment) else str(sent.content) for sent in context.sent
    ]


def decoded(image: Attachment) -> str:
    """Read the QR in an image as a phone does."""
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(image.data)))
    return code.text


async def test_loss_sends_a_notice_and_the_qr() -> None:
    """A scan line of a bot that was logged in brings its admins a sentence and an image that decodes to the payload."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan())
    assert texts(context) == ["bob has lost its session and asks for a scan", URL]
    assert [(sent.to, sent.priority) for sent in context.sent] == [(None, Priority.QR)] * 2


def key(kind: str, loss: str) -> MessageKey:
    """Name a message about a loss of Bob's."""
    return MessageKey(watch="bob", loss=loss, kind=kind)


def short_hash(shown: bytes) -> str:
    """Return what a QR's key says of its content."""
    return hashlib.sha256(shown).hexdigest()[:16]


async def test_every_message_about_a_loss_is_named() -> None:
    """Notice, QRs, return and login test of a loss have keys that tell them apart, and those of another loss others."""
    operation, context = rescue(login_test="hello"), logged_in()
    assert operation.on_tick is not None
    await meet(operation, context, replace(scan(), offset=70))
    await meet(operation, context, replace(scan(NEWER_URL), offset=90))
    context.move_on(60)
    await operation.on_tick(context)
    await meet(operation, context, event(EventKind.LOGIN))
    first = context.session("bob").loss_id
    assert [sent.key for sent in context.sent] == [
        key("loss", first),
        key(f"qr {short_hash(URL.encode())}", first),
        key(f"qr {short_hash(NEWER_URL.encode())}", first),
        key("return", first),
        key("login test", first),
    ]
    context.sent.clear()
    await meet(operation, context, replace(scan(), offset=120))
    second = context.session("bob").loss_id
    assert second != first
    assert [sent.key for sent in context.sent] == [key("loss", second), key(f"qr {short_hash(URL.encode())}", second)]


async def test_qr_is_named_by_what_it_shows() -> None:
    """A drawn QR is told from another by its modules, one in a file by what stands in the file when it is sent."""
    drawn, path = (b"\x01\x00", b"\x00\x01"), Path("/bot/QR.png")
    kinds: list[str] = []
    for qr, image in ((Qr(modules=drawn), b""), (Qr(image_path=path), PNG), (Qr(image_path=path), PNG + b"!")):
        operation, context = rescue(), logged_in()
        context.host.files[path] = image
        await meet(operation, context, event(EventKind.SCAN, qr=qr, path=LOG))
        named = context.sent[-1].key
        assert named is not None
        kinds.append(named.kind)
    shown = (b"".join(drawn), PNG, PNG + b"!")
    assert kinds == [f"qr {short_hash(content)}" for content in shown]


async def test_qr_that_was_asked_for_has_no_key() -> None:
    """Whoever asks for the QR, or turns the rescue on, gets it again, however often it was sent."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan())
    await command(operation, context, "qr")
    await command(operation, context, "disable-qr-rescue")
    await command(operation, context, "enable-qr-rescue")
    asked = [sent for sent in context.sent[2:] if isinstance(sent.content, Attachment)]
    assert [sent.key for sent in asked] == [None, None]


async def test_loss_that_nothing_names_is_told_without_a_key() -> None:
    """What cannot be told from an earlier loss is never taken for one that was told of."""
    operation, context = rescue(), logged_in()
    transition = context.happen(scan())
    assert transition is not None
    assert operation.on_transition is not None
    await operation.on_transition(context, replace(transition, after=replace(transition.after, loss_id="")))
    assert [sent.key for sent in context.sent] == [None, None]


async def test_qr_is_not_sent_after_its_life() -> None:
    """A QR, asked for or not, goes no later than it lives, and one that lives until the next whenever it can."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan(life=60))
    await command(operation, context, "qr")
    assert [sent.expires_at for sent in context.sent] == [None, *[START + timedelta(seconds=60)] * 2]
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan())
    assert [sent.expires_at for sent in context.sent] == [None, None]


async def restarted(context: RecordingContext) -> Operation:
    """Start the operation anew, as after a kill: what was only in memory is gone."""
    operation = rescue()
    assert operation.on_start is not None
    context.sent.clear()
    await operation.on_start(context)
    return operation


async def test_qr_that_was_held_back_goes_after_a_restart() -> None:
    """A QR that waited for its minute when the program was killed is offered again, under the key that it had."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan())
    await meet(operation, context, scan(NEWER_URL, life=60))
    operation = await restarted(context)
    loss = context.session("bob").loss_id
    assert texts(context) == [NEWER_URL]
    assert context.sent[0].key == key(f"qr {short_hash(NEWER_URL.encode())}", loss)
    context.move_on(60)
    await restarted(context)
    assert context.sent == []
    await meet(operation, context, event(EventKind.LOGIN))
    await restarted(context)
    assert context.sent == []


async def test_disabled_rescue_is_disabled_after_a_restart() -> None:
    """Whether the rescue is wanted is kept, and where the store cannot tell, it is."""
    operation, context = rescue(), logged_in()
    await command(operation, context, "disable-qr-rescue")
    operation = await restarted(context)
    await meet(operation, context, scan())
    assert context.sent == []
    await command(operation, context, "enable-qr-rescue")
    await restarted(context)
    assert texts(context) == [URL]
    await command(operation, context, "disable-qr-rescue")

    def unreadable(_key: str, /) -> str:
        raise StoreError("the store cannot be read")

    context.store.get = unreadable  # type: ignore[method-assign]  # a store that fails
    await restarted(context)
    assert texts(context) == [URL]


async def test_caption_names_bot_file_age_and_life() -> None:
    """The caption tells which bot, which file, how old and how long valid."""
    operation, context = rescue(), logged_in()
    context.move_on(3)
    await meet(operation, context, scan(life=60))
    image = context.sent[-1].content
    assert isinstance(image, Attachment)
    assert image.caption.splitlines() == [
        "Login QR of bob, from bob.log",
        "seen 3 s ago, valid for another 57 s",
        "scan it from this screen with the camera of the bot's phone",
    ]


async def test_caption_tells_that_a_qr_is_verified() -> None:
    """A QR from a line that the bot signed says so, and by whom; its image file, which nobody signed, does not."""
    operation, context = rescue(), logged_in()
    qr = Qr(payload=URL, first_seen=START, verified=True)
    await meet(operation, context, event(EventKind.SCAN, qr=qr, path=LOG, verified=True))
    image = context.sent[-1].content
    assert isinstance(image, Attachment)
    assert image.caption.splitlines()[:2] == ["Login QR of bob, from bob.log", "VERIFIED: signed by bob"]
    assert image.qr is not None
    assert image.qr.verified
    operation, context = rescue(), logged_in()
    context.host.files[Path("/bot/QR.png")] = PNG
    qr = Qr(image_path=Path("/bot/QR.png"), verified=True)
    await meet(operation, context, event(EventKind.SCAN, qr=qr, path=LOG, verified=True))
    image = context.sent[-1].content
    assert isinstance(image, Attachment)
    assert "VERIFIED" not in image.caption


async def hear(operation: Operation, context: RecordingContext, *refusals: Refusal | None, seconds: float = 0) -> None:
    """Let the operation hear of scan lines, each refused for a reason or verified, and time pass after each."""
    assert operation.on_event is not None
    for refusal in refusals:
        heard = replace(scan(), watch="bob", refused=refusal, verified=refusal is None)
        await operation.on_event(context, heard)
        context.move_on(seconds)


REPORTS = {
    Refusal.UNSIGNED: (
        "a line about bob in bob.log is not signed as it has to be; nothing was changed."
        " Does bob have the twins' key and sign? If so, who else writes to that log?"
    ),
    Refusal.WRONG: (
        "a line about bob in bob.log has a wrong signature; nothing was changed."
        " Do both twins have the same key, and is bob the name it gives itself? If so, who else writes to that log?"
    ),
    Refusal.REPLAYED: (
        "a line about bob in bob.log is the copy of one that bob signed before; nothing was changed."
        " Who else writes to that log?"
    ),
}


@pytest.mark.parametrize("refusal", Refusal)
async def test_refused_line_is_reported_once(refusal: Refusal) -> None:
    """A line that does not prove who wrote it is one sentence, without its QR, until a line of that bot is verified."""
    operation, context = rescue(), logged_in()
    await hear(operation, context, refusal, refusal, refusal, seconds=1000)
    assert context.sent == [Sent(content=REPORTS[refusal], priority=Priority.ALERT)]
    await hear(operation, context, None, refusal, refusal, seconds=1000)
    assert texts(context) == [REPORTS[refusal]] * 2


async def test_refused_lines_are_reported_once_in_ten_minutes() -> None:
    """Whoever writes refused lines of a kind, between verified ones too, causes one message in ten minutes."""
    operation, context = rescue(), logged_in()
    wrong = Refusal.WRONG
    await hear(operation, context, wrong, None, wrong, None, wrong, wrong, seconds=100)
    assert texts(context) == [REPORTS[wrong]]
    await hear(operation, context, wrong, None, wrong, None, seconds=100)
    assert texts(context) == [REPORTS[wrong]] * 2


@pytest.mark.parametrize("refusals", [*permutations(Refusal)])
async def test_no_refusal_hides_another(refusals: tuple[Refusal, ...]) -> None:
    """Each kind of refused line is reported when it first comes, whatever was reported before."""
    operation, context = rescue(), logged_in()
    await hear(operation, context, *refusals, *refusals)
    assert texts(context) == [REPORTS[refusal] for refusal in refusals]


async def test_refused_line_in_reach_of_a_message_is_not_reported() -> None:
    """What a stranger may have said in a chat alerts nobody, and hides nothing that does."""
    operation, context = rescue(), logged_in()
    assert operation.on_event is not None
    said = replace(scan(), watch="bob", trusted=False, refused=Refusal.WRONG, in_message=True)
    await operation.on_event(context, said)
    assert context.sent == []
    await hear(operation, context, Refusal.WRONG)
    assert texts(context) == [REPORTS[Refusal.WRONG]]


async def test_refused_lines_are_reported_apart_for_each_bot() -> None:
    """What is wrong in one bot's log does not keep another's from being reported; nor does one without a path."""
    operation, context = qr_rescue(OperationConfig()), RecordingContext()
    assert operation.on_event is not None
    for bot in ("bob", "carol"):
        await operation.on_event(context, event(EventKind.LOGIN, watch=bot, refused=Refusal.REPLAYED))
    replayed = REPORTS[Refusal.REPLAYED].replace("bob.log", "?")
    assert texts(context) == [replayed, replayed.replace("bob", "carol")]


async def test_refused_line_is_not_reported_while_disabled() -> None:
    """Disabled, the rescue says nothing of it; enabled again, it does when it happens again."""
    operation, context = rescue(), logged_in()
    await command(operation, context, "disable-qr-rescue")
    await hear(operation, context, Refusal.WRONG)
    await command(operation, context, "enable-qr-rescue")
    await hear(operation, context, Refusal.WRONG)
    assert texts(context)[2:] == [REPORTS[Refusal.WRONG]]


async def test_refused_line_never_shows_a_qr() -> None:
    """Not even to who asks: a refused line left unconfirmed has no QR to show."""
    operation, context = rescue(), logged_in()
    transition = leave_unconfirmed(context.session("bob"), replace(scan(), trusted=False, refused=Refusal.UNSIGNED))
    context.sessions["bob"] = transition.after
    assert operation.on_transition is not None
    await operation.on_transition(context, transition)
    await command(operation, context, "qr")
    assert texts(context) == ["bob is logged in; no scan is needed"]


def test_login_test_is_a_signal() -> None:
    """Twins that are each other's admins do not answer each other's login test."""
    assert rescue(login_test="您好世界").signals == ("您好世界",)
    assert rescue().signals == ()


async def test_logout_is_told_before_there_is_a_qr() -> None:
    """A logout is announced at once, its QR when it comes, and the loss only once."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, event(EventKind.LOGOUT))
    await meet(operation, context, scan())
    assert texts(context) == [
        "bob has been logged out; its login QR follows as soon as its log shows one",
        URL,
    ]


async def test_newer_qr_waits_for_the_minute() -> None:
    """A newer QR within a minute is held back, and the newest of those held goes when the minute is over."""
    operation, context = rescue(), logged_in()
    assert operation.on_tick is not None
    await meet(operation, context, scan())
    context.move_on(20)
    await meet(operation, context, scan("https://login.weixin.qq.com/l/between"))
    context.move_on(20)
    await meet(operation, context, scan(NEWER_URL))
    await operation.on_tick(context)
    assert texts(context)[1:] == [URL]
    assert context.woken_at == 60
    context.move_on(20)
    await operation.on_tick(context)
    assert texts(context)[1:] == [URL, NEWER_URL]


async def test_qr_that_expired_while_it_waited_is_not_sent() -> None:
    """What is no longer valid when its turn comes stays unsent."""
    operation, context = rescue(), logged_in()
    assert operation.on_tick is not None
    await meet(operation, context, scan())
    context.move_on(10)
    await meet(operation, context, scan(NEWER_URL, life=30))
    context.move_on(50)
    await operation.on_tick(context)
    assert texts(context)[1:] == [URL]


async def test_expired_event_takes_the_qr_back() -> None:
    """When the log says that the QR has expired, one that still waits is withdrawn."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan())
    await meet(operation, context, event(EventKind.EXPIRED))
    assert context.withdrawn == ["qr bob"]


async def test_qr_command_sends_at_once() -> None:
    """`qr` gets the QR at once, whatever the pace, and begins a new minute."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan())
    context.move_on(30)
    await meet(operation, context, scan(NEWER_URL))
    await command(operation, context, "qr")
    assert texts(context)[1:] == [URL, NEWER_URL]
    context.move_on(40)
    assert operation.on_tick is not None
    await operation.on_tick(context)
    assert len(context.sent) == 3


async def test_return_sends_the_login_test() -> None:
    """A login after a loss is told, and the login test goes to whom it is meant for."""
    operation, context = rescue(login_test="您好世界", login_test_to="bob-id"), logged_in()
    await meet(operation, context, scan())
    await meet(operation, context, event(EventKind.LOGIN, user="Bob"))
    assert texts(context)[2:] == ["bob is logged in again", "您好世界"]
    assert context.sent[-1].to == "bob-id"
    assert operation.contacts == ("bob-id",)


async def test_second_loss_sends_its_qr_at_once() -> None:
    """A loss soon after a return does not wait for the first one's minute."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan())
    await meet(operation, context, event(EventKind.LOGIN))
    await meet(operation, context, scan(NEWER_URL))
    assert texts(context)[-1] == NEWER_URL


async def test_disabled_rescue_is_silent_until_enabled() -> None:
    """Disabled, it says nothing of a loss; enabled again, it rescues at once."""
    operation, context = rescue(login_test="hello"), logged_in()
    await command(operation, context, "disable-qr-rescue")
    await meet(operation, context, scan())
    assert texts(context) == ["QR rescue of bob is off"]
    assert operation.status is not None
    assert operation.status(context, "bob") == ("QR rescue is off; `enable-qr-rescue bob` turns it on",)
    await command(operation, context, "enable-qr-rescue")
    assert texts(context)[1:] == ["QR rescue of bob is on", URL]
    assert operation.status(context, "bob") == ("QR rescue is on, last QR sent 0 s ago",)


async def test_disabling_takes_back_a_qr_that_waits() -> None:
    """A QR held back for its minute does not go after the rescue was disabled."""
    operation, context = rescue(), logged_in()
    assert operation.on_tick is not None
    await meet(operation, context, scan())
    await meet(operation, context, scan(NEWER_URL))
    await command(operation, context, "disable-qr-rescue")
    context.move_on(60)
    await operation.on_tick(context)
    assert texts(context)[2:] == ["QR rescue of bob is off"]


async def test_unconfirmed_scan_is_told_without_its_qr() -> None:
    """A scan that a stranger may have written is one sentence; its QR is shown, marked, to who asks."""
    operation, context = rescue(), logged_in()
    suspect = replace(scan(), trusted=False)
    transition = leave_unconfirmed(context.session("bob"), suspect)
    context.sessions["bob"] = transition.after
    assert operation.on_transition is not None
    await operation.on_transition(context, transition)
    assert texts(context) == ["unconfirmed scan line in bob.log; send `qr bob` to see it"]
    await command(operation, context, "qr")
    image = context.sent[-1].content
    assert isinstance(image, Attachment)
    assert "UNCONFIRMED: a stranger may have written that line; scan it only if you expect it" in image.caption
    assert decoded(image) == URL


async def test_unconfirmed_scans_are_told_of_once_in_ten_minutes() -> None:
    """A stranger who goes on writing scan lines causes no message each time."""
    operation, context = rescue(), logged_in()
    assert operation.on_transition is not None
    for number in range(5):
        suspect = replace(scan(), trusted=False, line=number)
        transition = leave_unconfirmed(context.session("bob"), suspect)
        context.sessions["bob"] = transition.after
        await operation.on_transition(context, transition)
        context.move_on(200)
    assert texts(context) == ["unconfirmed scan line in bob.log; send `qr bob` to see it"] * 2


async def test_qr_that_is_expired_when_it_is_read_is_not_sent() -> None:
    """A scan line that is read too late is told as a loss, without its QR."""
    operation, context = rescue(), logged_in()
    context.move_on(61)
    await meet(operation, context, scan(life=60))
    assert texts(context) == ["bob has lost its session and asks for a scan"]


@pytest.mark.parametrize(
    ("session", "text"),
    [
        (Session(watch="bob", state=SessionState.LOGGED_IN), "bob is logged in; no scan is needed"),
        (
            Session(watch="bob", state=SessionState.LOGGED_OUT, is_lost=True),
            "bob: logged out\nthere is no QR of bob yet; it is sent as soon as its log shows it",
        ),
        (
            Session(
                watch="bob",
                state=SessionState.AWAITING_SCAN,
                is_lost=True,
                since=START - timedelta(minutes=3),
                qr=Qr(payload=URL, expires=START - timedelta(minutes=2)),
            ),
            (
                "bob: waiting for a scan, for 3 min\n"
                "the last QR of bob has expired; the next one is sent as soon as its log shows it"
            ),
        ),
    ],
)
async def test_qr_command_tells_why_there_is_none(session: Session, text: str) -> None:
    """Without a valid QR, `qr` answers with the session's state and what comes next."""
    context = RecordingContext(session)
    await command(rescue(), context, "qr")
    assert texts(context) == [text]


async def test_image_file_is_sent_as_it_is() -> None:
    """A bot that keeps its QR in an image file has that file sent."""
    operation, context = rescue(), logged_in()
    context.host.files[Path("/bot/QR.png")] = PNG
    await meet(operation, context, event(EventKind.SCAN, qr=Qr(image_path=Path("/bot/QR.png")), path=LOG))
    image = context.sent[-1].content
    assert isinstance(image, Attachment)
    assert (image.filename, image.content_type, image.data) == ("bob-qr.png", "image/png", PNG)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "/bot/QR.png"),
        ({Path("/bot/QR.png"): b"root:x:0:0"}, "QR.png is neither PNG nor JPEG"),
        ({Path("/bot/QR.png"): bytes(IMAGE_LIMIT_BYTES + 1)}, f"/bot/QR.png is larger than {IMAGE_LIMIT_BYTES} bytes"),
    ],
)
async def test_image_file_that_is_none_is_told(files: dict[Path, bytes], reason: str) -> None:
    """A file that is missing, too large or no image is named in a sentence and never sent."""
    operation, context = rescue(), logged_in()
    context.host.files.update(files)
    await meet(operation, context, event(EventKind.SCAN, qr=Qr(image_path=Path("/bot/QR.png")), path=LOG))
    assert texts(context)[1:] == [f"the QR of bob cannot be shown: {reason}"]
    assert context.sent[-1].key == key(f"no qr {short_hash(b'')}", context.session("bob").loss_id)


async def test_payload_too_long_for_a_qr_is_told() -> None:
    """A payload that no QR can hold gives a sentence that does not repeat it."""
    operation, context = rescue(), logged_in()
    await meet(operation, context, scan("https://login.weixin.qq.com/l/" + "x" * 3000))
    assert texts(context)[1].startswith("the QR of bob cannot be shown: ")
    assert "xxx" not in texts(context)[1]


async def test_one_operation_rescues_every_bot() -> None:
    """Without a bot of its own it keeps the pace of each bot apart."""
    operation = qr_rescue(OperationConfig())
    context = RecordingContext(Session(watch="bob"), Session(watch="carol"))
    assert operation.on_transition is not None
    assert operation.status is not None
    assert operation.status(context, "bob") == ("QR rescue is on",)
    for bot, url in (("bob", URL), ("carol", NEWER_URL)):
        transition = context.happen(scan(url), watch=bot)
        assert transition is not None
        await operation.on_transition(context, transition)
    assert texts(context)[1::2] == [URL, NEWER_URL]


class Interrupted(RecordingContext):
    """A context in which `qr` is asked for while something else is being sent."""

    interrupt: Callable[[], Awaitable[None]] | None = None

    async def send(self, content: Content, /, **choices: Any) -> Ticket:  # noqa: ANN401  # handed on as they are
        """Send, and let the interruption happen once."""
        ticket = await super().send(content, **choices)
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            await interrupt()
        return ticket


async def test_qr_asked_for_while_others_wake_is_sent_once() -> None:
    """A QR that was asked for while another bot's was being sent does not go a second time."""
    operation = qr_rescue(OperationConfig())
    context = Interrupted(Session(watch="bob"), Session(watch="carol"))
    assert operation.on_transition is not None
    assert operation.on_tick is not None
    for url in (URL, NEWER_URL):
        for bot in ("bob", "carol"):
            transition = context.happen(scan(f"{url}{bot}"), watch=bot)
            assert transition is not None
            await operation.on_transition(context, transition)
    context.sent.clear()
    context.move_on(60)
    asked = Invocation(message=message("qr carol"), name="qr", watch="carol")

    async def ask() -> None:
        await operation.commands[0].handler(context, asked)

    context.interrupt = ask
    await operation.on_tick(context)
    assert texts(context) == [f"{NEWER_URL}bob", f"{NEWER_URL}carol"]


async def test_replies_are_chinese_where_asked() -> None:
    """With `language = "zh"` the admin reads Chinese."""
    operation, context = qr_rescue(OperationConfig(watch="bob", language="zh")), logged_in()
    await meet(operation, context, event(EventKind.LOGOUT))
    assert texts(context) == ["bob 已退出登录；日志中一出现登录二维码就会发给您"]
    qr = Qr(payload=URL, first_seen=START, verified=True)
    await meet(operation, context, event(EventKind.SCAN, qr=qr, path=LOG, verified=True))
    image = context.sent[-1].content
    assert isinstance(image, Attachment)
    assert image.caption.splitlines()[1] == "已验证：由 bob 签名"
    assert ADMIN in context.admins

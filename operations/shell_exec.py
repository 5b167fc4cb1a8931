"""Run shell commands on the server, as the user the bot runs as, and tell what they write as it comes.

`progress` and `result` are pure and decide what is told; nothing of it is logged.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor import (
    Attachment,
    Command,
    Excerpt,
    HostError,
    Operation,
    OperationConfig,
    OperationError,
    Outcome,
    SecurityRule,
    ShellLimits,
    ShellStop,
    allow_list,
    excerpt,
    screen_text,
    size_text,
    straightened,
    translation,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logmonitor import Content, Context, Invocation, ShellEnd

PAUSES: Final = (2.0, 4.0, 8.0, 16.0, 32.0)
"""After how many seconds each what has come is told; when all of them are over, the rest is told at the end."""

SHOWN_CHARACTERS: Final = 1500
SHOWN_LINES: Final = 40
"""How much a message shows; when there is more, the end of it, and all of it goes as a file."""

FILENAME: Final = "sh.txt"
_ENDING_SECONDS: Final = 30.0
_SHORT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How much of an output was told: the first so many bytes; `is_whole` unless some of them were left out."""

    size_bytes: int = 0
    is_whole: bool = True


def shell_exec(
    config: OperationConfig,
    *,
    allow: tuple[str, ...] = (),
    folder: Path = Path("~"),
    environ: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    output_bytes: int = 1 << 20,
    memory_bytes: int = 1 << 29,
    processes: int = 64,
) -> Operation:
    """Run what an admin types behind `sh`, once a code was shown; in `folder`, with a clean environment and `environ`.

    With `allow` only what one of these patterns (RE2 syntax) matches as a whole is run. When it takes longer than
    `timeout` seconds, writes, uses or starts more than it may, everything that it started is ended.
    """
    _ = translation(config.language)
    limits = ShellLimits(timeout=timeout, output_bytes=output_bytes, memory_bytes=memory_bytes, processes=processes)
    variables = dict(environ or {})
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise OperationError(f"bad variable {name!r}; expected a name without '=' and a value without zero bytes")
    is_allowed = allow_list(allow)

    async def run(context: Context, invocation: Invocation) -> Outcome:
        output = bytearray()
        told = Told()
        end: ShellEnd | None = None
        failure = ""

        async def tell() -> None:
            nonlocal told
            for pause in PAUSES:
                await context.sleep(pause)
                after, text = progress(told, output, translate=_)
                if text:
                    await context.send(text)
                told = after

        script = script_of(invocation)
        try:
            async with (
                context.host.shell(script, folder=folder, environ=variables, limits=limits) as shell,
                asyncio.TaskGroup() as group,
            ):
                telling = group.create_task(tell())
                async for piece in shell.output():
                    output += piece
                end = await shell.end()
                telling.cancel()
        except* HostError as errors:
            failure = visible(str(errors.exceptions[0]), one_line=True)
        finally:
            content = result(told, bytes(output), end, limits, translate=_)
            if content is not None:
                await context.send(content)
        if failure:
            await context.send(_("the shell command has failed: {reason}").format(reason=failure))
        return Outcome(exit_code=None if end is None else end.exit_code)

    def objection(invocation: Invocation) -> str | None:
        script = script_of(invocation)
        if not script:
            return _("there is nothing to run; say `sh` and a command")
        return None if is_allowed(script) else _("that is none of the commands that may be run here")

    def effect(invocation: Invocation) -> str:
        script = script_of(invocation)
        if script == invocation.text:
            return _("the shell runs it in {folder}").format(folder=folder)
        shown = visible(script, one_line=True)
        return _("the shell runs it in {folder}, as {script}").format(folder=folder, script=shown)

    command = Command(
        name="sh",
        handler=run,
        help=_("run a command on the server by its shell"),
        usage=_("COMMAND"),
        security=frozenset({SecurityRule.TOTP}),
        objection=objection,
        effect=effect,
        concurrent=True,
        timeout=timeout + _ENDING_SECONDS,
    )
    return Operation(name="shell_exec", config=config, commands=(command,))


def script_of(invocation: Invocation) -> str:
    """Return what the shell is to run: the text as a shell understands what a phone types."""
    return straightened(invocation.text).strip()


def progress(told: Told, output: bytes | bytearray, *, translate: Callable[[str], str]) -> tuple[Told, str]:
    """Decide what is told while a command runs: the lines that are whole by now, and were not told."""
    end = max(output.rfind(b"\n"), output.rfind(b"\r")) + 1
    if end <= told.size_bytes:
        return told, ""
    shown = excerpt(bytes(output[told.size_bytes : end]), characters=SHOWN_CHARACTERS, lines=SHOWN_LINES)
    return Told(size_bytes=end, is_whole=told.is_whole and not shown.lines), _excerpt_text(shown, translate)


def result(
    told: Told, output: bytes, end: ShellEnd | None, limits: ShellLimits, *, translate: Callable[[str], str]
) -> Content | None:
    """Decide what is told at the end: the rest of the output and how it ended, with all of it as a file if it is much.

    Without an `end`, as when it was cancelled, the rest is told alone, if there is any.
    """
    shown = excerpt(output[told.size_bytes :], characters=SHOWN_CHARACTERS, lines=SHOWN_LINES)
    rows = [row for row in (_excerpt_text(shown, translate), end and end_text(end, limits, translate=translate)) if row]
    if end is not None and not output:
        rows.insert(0, translate("(no output)"))
    text = "\n".join(rows)
    if told.is_whole and not shown.lines:
        return text or None
    whole = screen_text(output).encode()
    return Attachment(filename=FILENAME, content_type="text/plain", data=whole, caption=text)


def end_text(end: ShellEnd, limits: ShellLimits, *, translate: Callable[[str], str]) -> str:
    """Return how a command ended: its exit code or its limit, how long it took, and what it left behind."""
    _ = translate
    rows = [f"→ {_how(end, limits, _)}"]
    if end.left:
        rows.append(_("processes that it left behind, ended with it: {count}").format(count=end.left))
    if end.survivors:
        pids = ", ".join(map(str, end.survivors))
        rows.append(_("processes that cannot be ended, as they are another user's: {pids}").format(pids=pids))
    return "\n".join(rows)


def _how(end: ShellEnd, limits: ShellLimits, translate: Callable[[str], str]) -> str:
    _ = translate
    seconds = f"{end.seconds:.1f}" if end.seconds < _SHORT_SECONDS else f"{end.seconds:.0f}"
    if end.stopped_at is not None:
        text = {
            ShellStop.TIME: _("ended at its limit of time, after {seconds} s"),
            ShellStop.OUTPUT: _("ended at its limit of output, {output}, after {seconds} s"),
            ShellStop.MEMORY: _("ended at its limit of memory, {memory}, after {seconds} s"),
            ShellStop.PROCESSES: _("ended at its limit of {processes} processes, after {seconds} s"),
        }[end.stopped_at]
        memory, output = map(size_text, (limits.memory_bytes, limits.output_bytes))
        return text.format(seconds=seconds, processes=limits.processes, memory=memory, output=output)
    if end.exit_code is None:
        return _("ended from outside after {seconds} s").format(seconds=seconds)
    if end.exit_code < 0:
        return _("ended by signal {signal} after {seconds} s").format(signal=-end.exit_code, seconds=seconds)
    return _("exit code {code} after {seconds} s").format(code=end.exit_code, seconds=seconds)


def _excerpt_text(shown: Excerpt, translate: Callable[[str], str]) -> str:
    if not shown.lines:
        return shown.text
    return "\n".join((translate("… lines before: {count}").format(count=shown.lines), shown.text))

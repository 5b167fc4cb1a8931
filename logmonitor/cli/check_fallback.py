"""What `check` tells of the fallbacks: where each leads, and of a chat whether it can be reached; nothing is sent."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from logmonitor.channel.apprise_url import service_of
from logmonitor.cli.check_chat import chat_rows, tls_rows
from logmonitor.cli.row import Row
from logmonitor.config import ChatConfig, build_fallback_transport

if TYPE_CHECKING:
    from logmonitor.config import Config, FallbackConfig


async def fallback_rows(config: Config) -> list[Row]:
    """Look at each fallback, in order."""
    rows: list[Row] = []
    for fallback in config.fallbacks:
        rows += await _rows_of(config, fallback)
    if config.fallbacks:
        words = shlex.join(("logmonitor", "fallback", "test", "--config", str(config.path)))
        rows.append(Row(subject="fallbacks", text=f"nothing was sent by them; to try them: {words}"))
    return rows


async def _rows_of(config: Config, fallback: FallbackConfig) -> list[Row]:
    subject = f"fallback {fallback.name}"
    after = f"what has not been taken for {fallback.after:g} s goes"
    if fallback.url is not None:
        images = "" if fallback.carries_files else ", which shows no image: a login QR goes as a text"
        return [Row(subject=subject, text=f"{after} over {service_of(fallback.url)}{images}")]
    name = str(fallback.transport)
    chat = ChatConfig(transport=name, admins=(), parameters=fallback.parameters)
    looked = [*tls_rows(chat), *await chat_rows(name, build_fallback_transport(config, fallback), fallback.to)]
    return [
        Row(subject=subject, text=f"{after} over {name} to {', '.join(fallback.to)}"),
        *(
            replace(row, subject=f"{subject}, {row.subject}", remedy=row.remedy and row.remedy.replace("[chat]", "it"))
            for row in looked
        ),
    ]

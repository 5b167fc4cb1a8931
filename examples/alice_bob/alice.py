"""Alice as code, a bot of the Wechaty SDK: she follows Bob's log and rescues him."""

from __future__ import annotations

import asyncio
import os

from logmonitor import OperationConfig
from logmonitor.transports.wechaty_plugin import WechatyLogMonitor  # before wechaty, which it mends
from operations.qr_rescue import qr_rescue

# isort: split
from wechaty import Wechaty, WechatyOptions

config = OperationConfig(watch="bob")  # follows bob.log
monitor = WechatyLogMonitor(
    operations=[qr_rescue(config, login_test="您好世界")],
    admins=["AdminWeixin"],
    self_log="alice.log",
    twin_key=os.environ["TWIN_KEY"],
    require_signed=True,
    rules={"disable-*": ["confirm"]},
)
bot = Wechaty(WechatyOptions(endpoint=os.environ["ALICE_ENDPOINT"], token=os.environ["ALICE_TOKEN"]))
bot.use(monitor)
asyncio.run(bot.start())

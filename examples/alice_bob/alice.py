"""Alice as code, a bot of the Wechaty SDK: she does what alice.toml says."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from logmonitor import OperationConfig, Service
from logmonitor.transports.wechaty_plugin import WechatyLogMonitor  # before wechaty, which it mends
from operations.liveness import liveness
from operations.log_alert import log_alert
from operations.log_view import log_view
from operations.qr_rescue import qr_rescue
from operations.restart_process import restart_process
from operations.service_check import service_check
from operations.shell_exec import shell_exec
from operations.status import status

# isort: split
from wechaty import Wechaty, WechatyOptions

bob = OperationConfig(watch="bob")  # follows bob.log
everything = OperationConfig()
here = Path.cwd()
disk = Service(name="disk", command=("df", "--output=pcent", "."), contains=" ([0-9]|[1-8][0-9])%")
monitor = WechatyLogMonitor(
    operations=[
        qr_rescue(bob, login_test="您好世界"),
        restart_process(bob, pid_file=here / "bob.pid", respawn=15),
        log_alert(bob, match="onScan: Timeout"),
        log_view(everything),
        liveness(bob, ping="BobWeixin"),
        service_check(everything, services=(disk,)),
        status(everything),
        shell_exec(everything, folder=here, timeout=30),
    ],
    admins=["AdminWeixin"],
    self_log="alice.log",
    pid_file="alice.pid",
    twin_key=os.environ["TWIN_KEY"],
    require_signed=True,
    rules={"disable-*": ["confirm"], "stop": ["confirm"]},
)
bot = Wechaty(WechatyOptions(endpoint=os.environ["ALICE_ENDPOINT"], token=os.environ["ALICE_TOKEN"]))
bot.use(monitor)
asyncio.run(bot.start())

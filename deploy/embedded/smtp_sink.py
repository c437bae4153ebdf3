"""A mail relay for trying: it keeps every mail as a file in ``var/mail/`` and delivers none."""

import asyncio
import email
import email.policy
import os
import re
import signal
import time
from itertools import count
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

_serial = count(1)


class Keeper:
    """Writes mails as ``TIME-NUMBER-SUBJECT.eml``, complete or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  (aiosmtpd's name)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        subject = re.sub(r"[^a-z0-9]+", "-", str(message.get("Subject", "")).lower()).strip("-")[:60]
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        name = f"{stamp}-{next(_serial):06d}-{subject or 'no-subject'}.eml"
        temporary = self._folder / f".{name}"
        temporary.write_bytes(envelope.content)
        temporary.rename(self._folder / name)
        return "250 Kept"


async def _serve() -> None:
    keeper = Keeper(Path(os.environ["STACK_VAR"]) / "mail")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(keeper, enable_SMTPUTF8=True, hostname="localhost", loop=loop),
        host="127.0.0.1",
        port=int(os.environ["SMTP_PORT"]),
    )
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())

"""A real mail relay for tests: it keeps what it takes, and answers as it is told."""

import email
import email.policy
import socket
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

Answer = Callable[[str], str | None]


class Relay:
    """
    A relay on a free port of 127.0.0.1.

    :ivar at_sender: called with our own address at MAIL FROM.
    :ivar at_recipient: called with the address at RCPT; returns an answer such as ``"550 no"`` or ``None``.
    :ivar at_data: the same at the end of the message.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.at_sender: Answer = lambda _: None
        self.at_recipient: Answer = lambda _: None
        self.at_data: Answer = lambda _: None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_MAIL(  # noqa: N802  (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, mail_options: list[str]
    ) -> str:
        answer = self.at_sender(address)
        if answer:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, rcpt_options: list[str]
    ) -> str:
        answer = self.at_recipient(address)
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        answer = self.at_data(envelope.rcpt_tos[0])
        if answer:
            return answer
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore[arg-type]
        return "250 OK"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        if self._controller.loop.is_running():
            self._controller.stop(no_assert=True)

    def to(self, address: str) -> list[EmailMessage]:
        """The mails taken for an address."""
        return [mail for mail in self.mails if address in str(mail["To"])]


def body(mail: EmailMessage, kind: str = "plain") -> str:
    """The text or HTML part of a mail."""
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())

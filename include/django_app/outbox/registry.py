"""Who writes the mails whose text is made when they are sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from outbox.models import Mail


@dataclass(frozen=True)
class Rendered:
    """
    A mail ready to go.

    :ivar recipient: the address of this moment, where it may have changed since the mail was planned.
    """

    subject: str
    text: str
    html: str
    recipient: str = ""


@dataclass(frozen=True)
class Withdrawn:
    """There is nothing to say any more; ``reason`` is one short sentence."""

    reason: str


class Renderer(Protocol):
    """What an app registers for its kind of mail."""

    def render(self, mails: Sequence[Mail]) -> Mapping[int, Rendered | Withdrawn]:
        """Write these mails, by primary key, from the state of this moment; a few queries for all of them.

        It may be called again for the same mails: a run that was killed starts over.
        """

    def settled(self, mail: Mail) -> None:
        """Take note that the mail was sent, withdrawn or refused; in the same transaction as its row."""


class _Stored:
    """Mails that carry their text."""

    def render(self, mails: Sequence[Mail]) -> dict[int, Rendered | Withdrawn]:
        return {mail.pk: Rendered(mail.subject, mail.text, mail.html) for mail in mails}

    def settled(self, mail: Mail) -> None:
        pass


_renderers: dict[str, Callable[[], Renderer]] = {"stored": _Stored}


def register(kind: str, renderer: Callable[[], Renderer]) -> None:
    """Register who renders a kind of mail; call it in ``AppConfig.ready``."""
    _renderers[kind] = renderer


def renderer_of(kind: str) -> Renderer:
    """
    Return the renderer of a kind.

    :raises KeyError: no app has registered it.
    """
    return _renderers[kind]()

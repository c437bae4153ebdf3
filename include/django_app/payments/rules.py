"""The numbers of docs/domain.md §3 and §4, and refusals that name their field."""

from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from payments.models import Agent

LONGEST_SESSION = timedelta(hours=12)
LONGEST_VOID = timedelta(minutes=30)
APPROVAL_FROM = 500_000
FREE_VARIANCE = 1_000
DEFAULT_RATE = Decimal("0.02")


class Refused(ValueError):
    """
    A rule forbids it; nothing was written. Its text is English, :meth:`shown` is in the reader's language.

    :ivar field: the input to correct, as in the service's signature.
    """

    def __init__(self, field: str, message: str, /, **values: object) -> None:
        super().__init__(f"{field}: {message % values}")
        self.field, self._message, self._values = field, message, values

    def shown(self) -> str:
        """What to tell the person at the screen."""
        return gettext(self._message) % self._values


def rate_of(agent: Agent) -> Decimal:
    """The agent's own rate, where 0 is a rate, else the default."""
    return DEFAULT_RATE if agent.commission_rate is None else agent.commission_rate


def commission_of(*, tax: int, rate: Decimal) -> int:
    """The commission in whole ariary, rounded half-even."""
    return int((tax * rate).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def second_person(*, first: str, second: str, field: str = "by") -> None:
    """
    Refuse when the person deciding is the one who did it.

    :raises Refused: they are the same.
    """
    if first == second:
        raise Refused(field, _("a second person must do this"))


def reason_given(reason: str) -> str:
    """
    Return the reason on one line.

    :raises Refused: it is empty.
    """
    text = " ".join(reason.split())
    if not text:
        raise Refused("reason", _("say why"))
    return text

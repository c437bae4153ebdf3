"""A small fixed cast; tests change only what they are about."""

from datetime import date
from typing import Any

from django.contrib.auth import get_user_model

from audit.services import append_entries
from core.models import Owner, TaxPayment, Vehicle
from payments import entries
from payments.models import Agent, CashSession
from payments.services import sessions

_serial = iter(range(1, 1_000_000))


def owner(**changes: Any) -> Owner:
    """Rasoa, who reads French and has a mail address."""
    values = {"name": "Rasoa Rakotomalala", "email": f"rasoa{next(_serial)}@owners.example", "language": "fr"}
    return Owner.objects.create(**{**values, **changes})


def vehicle(**changes: Any) -> Vehicle:
    """A private petrol car of 6 CV, in service since 15 June 2020: 30 000 Ar for 2026."""
    values: dict[str, Any] = {
        "plate": f"{next(_serial)}TBA",
        "power_cv": 6,
        "first_circulation_on": date(2020, 6, 15),
    }
    if "owner" not in changes:
        values["owner"] = owner()
    return Vehicle.objects.create(**{**values, **changes})


def aircraft(**changes: Any) -> Vehicle:
    """Any aircraft pays 2 000 000 Ar, so its payment waits for approval."""
    return vehicle(kind=Vehicle.Kind.AIR, **changes)


def paid(of: Vehicle, fiscal_year: int, **changes: Any) -> TaxPayment:
    """The vehicle's tax of that year, paid by mobile money."""
    from django.utils import timezone

    values: dict[str, Any] = {
        "vehicle": of,
        "plate": of.plate,
        "fiscal_year": fiscal_year,
        "amount": 30_000,
        "method": TaxPayment.Method.MOBILE_MONEY,
        "paid_at": timezone.now(),
    }
    return TaxPayment.objects.create(**{**values, **changes})


def agent(**changes: Any) -> Agent:
    """Hery, at the default rate, with a mail address."""
    number = next(_serial)
    values = {"code": f"AG{number:08d}", "name": "Hery Andriana", "email": f"hery{number}@agents.example"}
    return Agent.objects.create(**{**values, **changes})


def open_session(
    *, opened_at: Any = None, of: Agent | None = None, opening_float: int = 50_000
) -> CashSession:
    """A session opened by the service, or, with ``opened_at``, one opened in the past with its entry."""
    holder = of or agent()
    if opened_at is None:
        return sessions.session_open(agent=holder, opening_float=opening_float, by="user:hery")
    session = CashSession.objects.create(
        number=f"SESS-{opened_at:%Y%m%d}-{next(_serial):06d}",
        agent=holder,
        opening_float=opening_float,
        opened_at=opened_at,
    )
    from django.db import transaction

    with transaction.atomic():
        append_entries([entries.session_opened(session, actor="user:hery")])
    return session


def user(username: str, **changes: Any) -> Any:
    """A member of staff."""
    return get_user_model().objects.create_user(username, password="x", is_staff=True, **changes)

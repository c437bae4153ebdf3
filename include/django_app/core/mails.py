"""Writing the reminders' mails at the moment they are sent: one owner, all that is due, and the arrears."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.calendar import EXPIRING
from core.models import Owner, Reminder, Vehicle
from core.selectors import arrears, reminders_of_mails, vehicles_taxed
from core.tariff import tax_due
from outbox.models import Mail
from outbox.registry import Rendered, Withdrawn

NO_ADDRESS = "no address"


@dataclass(frozen=True)
class Line:
    """One vehicle's tax of one year."""

    plate: str
    fiscal_year: int
    due_on: date
    amount: int
    overdue: bool


@dataclass(frozen=True)
class Arrears:
    """One vehicle's older unpaid years, such as ``2019–2021, 2023``."""

    plate: str
    years: str
    amount: int


class ReminderMails:
    """Registered in the outbox for the kind ``reminder``; a mail's reference names its owner."""

    def render(self, mails: Sequence[Mail]) -> dict[int, Rendered | Withdrawn]:
        """
        Write the mails from the state of this moment.

        Reminders that have lost their reason are withdrawn here; a mail that has none left is withdrawn too.
        """
        owners = Owner.objects.in_bulk([_owner_id(mail) for mail in mails])
        standing, withdrawn = _sorted_out(mails, owners)
        _withdraw(withdrawn)
        older = _arrears_by_owner(standing)
        return {
            mail.pk: _written(owners[_owner_id(mail)], reminders, older[_owner_id(mail)])
            if (reminders := standing[mail.key])
            else Withdrawn(withdrawn[mail.key][0][1] if withdrawn[mail.key] else "nothing left to say")
            for mail in mails
        }

    def settled(self, mail: Mail) -> None:
        """Say of the mail's reminders what became of it."""
        state, reason = {
            Mail.State.SENT: (Reminder.State.SENT, ""),
            Mail.State.REFUSED: (Reminder.State.UNREACHABLE, "refused by the relay"),
            Mail.State.WITHDRAWN: (Reminder.State.WITHDRAWN, mail.error[:100]),
        }[Mail.State(mail.state)]
        Reminder.objects.filter(mail_key=mail.key, state=Reminder.State.PLANNED).update(
            state=state, reason=reason, settled_at=timezone.now()
        )


def _owner_id(mail: Mail) -> int:
    return int(mail.reference.removeprefix("core.owner:"))


_Withdrawals = Mapping[str, list[tuple[Reminder, str]]]


def _sorted_out(
    mails: Sequence[Mail], owners: Mapping[int, Owner]
) -> tuple[dict[str, list[Reminder]], _Withdrawals]:
    """Tell the reminders that still stand from those to withdraw, with the reason, by mail."""
    owner_of = {mail.key: owners.get(_owner_id(mail)) for mail in mails}
    standing: dict[str, list[Reminder]] = defaultdict(list)
    withdrawn: dict[str, list[tuple[Reminder, str]]] = defaultdict(list)
    for reminder in reminders_of_mails(mail_keys=owner_of):
        reason = _obstacle(reminder, owner_of[reminder.mail_key])
        if reason:
            withdrawn[reminder.mail_key].append((reminder, reason))
        else:
            standing[reminder.mail_key].append(reminder)
    return standing, withdrawn


def _obstacle(reminder: Reminder, owner: Owner | None) -> str:
    vehicle = reminder.vehicle
    reasons = (
        ("paid, or awaiting approval", reminder.settled),  # type: ignore[attr-defined]  # annotated
        ("overtaken by a later stage", reminder.overtaken),  # type: ignore[attr-defined]
        ("deactivated", not vehicle.active),
        ("owner changed", owner is None or vehicle.owner_id != owner.pk),
        ("exempt", not tax_due(vehicle=vehicle, fiscal_year=reminder.fiscal_year)),
        (NO_ADDRESS, owner is not None and not owner.email),
    )
    return next((reason for reason, holds in reasons if holds), "")


def _withdraw(withdrawn: _Withdrawals) -> None:
    by_reason: dict[str, list[int]] = defaultdict(list)
    for reminder, reason in (each for pairs in withdrawn.values() for each in pairs):
        by_reason[reason].append(reminder.pk)
    for reason, keys in by_reason.items():
        state = Reminder.State.UNREACHABLE if reason == NO_ADDRESS else Reminder.State.WITHDRAWN
        Reminder.objects.filter(pk__in=keys, state=Reminder.State.PLANNED).update(
            state=state, reason=reason, settled_at=timezone.now()
        )


def _arrears_by_owner(standing: Mapping[str, list[Reminder]]) -> dict[int, list[Arrears]]:
    """Look at all vehicles of the owners, as arrears have no mail of their own."""
    reminders = [reminder for several in standing.values() for reminder in several]
    owners = {reminder.vehicle.owner_id for reminder in reminders}
    current = max((_current_year(reminder) for reminder in reminders), default=0)
    vehicles = {
        vehicle.pk: vehicle for vehicle in vehicles_taxed().filter(owner__in=owners).order_by("plate")
    }
    found: dict[int, list[Arrears]] = defaultdict(list)
    for pk, years in arrears(vehicles=list(vehicles.values()), before=current).items():
        line = Arrears(
            vehicles[pk].plate, _spans(year for year, _tax in years), sum(tax for _y, tax in years)
        )
        found[vehicles[pk].owner_id or 0].append(line)
    return found


def _current_year(reminder: Reminder) -> int:
    """The year in force: an expiring year's reminder speaks of the next one."""
    return reminder.fiscal_year - (reminder.stage == EXPIRING)


def _spans(years: Iterable[int]) -> str:
    """Write years in order as spans: ``2019–2021, 2023``."""
    spans: list[list[int]] = []
    for year in years:
        if spans and year == spans[-1][-1] + 1:
            spans[-1].append(year)
        else:
            spans.append([year])
    return ", ".join(f"{span[0]}–{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)


def _written(owner: Owner, reminders: Sequence[Reminder], older: Sequence[Arrears]) -> Rendered:
    lines = [_line(reminder, reminder.vehicle) for reminder in reminders]
    with translation.override(owner.language):
        subject = ngettext(
            "Vehicle tax: %(count)d vehicle to pay", "Vehicle tax: %(count)d vehicles to pay", len(lines)
        ) % {"count": len(lines)}
        context = {
            "language": owner.language,
            "subject": subject,
            "owner": owner,
            "lines": lines,
            "ahead": all(reminder.stage == EXPIRING for reminder in reminders),
            "arrears": older,
            "total": sum(line.amount for line in lines) + sum(each.amount for each in older),
            "several": len(lines) + len(older) > 1,
            "sender": _("Vehicle tax"),
            "site_url": settings.SITE_URL,
        }
        return Rendered(
            subject=subject,
            text=render_to_string("core/reminder.txt", context),
            html=render_to_string("core/reminder.html", context),
            recipient=owner.email,
        )


def _line(reminder: Reminder, vehicle: Vehicle) -> Line:
    return Line(
        plate=vehicle.plate,
        fiscal_year=reminder.fiscal_year,
        due_on=reminder.due_on,
        amount=tax_due(vehicle=vehicle, fiscal_year=reminder.fiscal_year),
        # By the stage, not by the clock: a mail says the same whenever it is written.
        overdue=reminder.stage.startswith("due+") and reminder.stage != "due+0",
    )

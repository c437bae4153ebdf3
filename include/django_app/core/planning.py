"""
Planning the reminders that are due, in a few statements whatever the number of vehicles.

The database decides which vehicles are due, and its unique key per vehicle, year and stage keeps each
reminder to once. The sender is kept off the planned mails meanwhile, so that a reminder is never added to
a mail that is just being written.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from config.failpoints import failpoint
from core.calendar import payable_from
from core.models import Reminder
from core.tariff import EXEMPT
from outbox.services import hold_planned, queue_selected

KIND = "reminder"

# An owner hears from us once a day: who has today's mail, or one of unknown fate, is left for tomorrow's
# run, which catches the stage up.
_INSERT = """
    INSERT INTO core_reminder (vehicle_id, fiscal_year, stage, stage_on, due_on, mail_key, state, reason,
                               planned_at, settled_at)
    SELECT v.id, stage.fiscal_year, stage.name, stage.day, stage.due_on, '',
           CASE WHEN o.email = '' THEN 'unreachable' ELSE 'planned' END,
           CASE WHEN o.email = '' THEN 'no address' ELSE '' END,
           %(now)s, CASE WHEN o.email = '' THEN %(now)s::timestamptz END
      FROM core_vehicle v
      JOIN core_owner o ON o.id = v.owner_id
      CROSS JOIN LATERAL (
           SELECT CASE WHEN v.first_circulation_on > %(first_day)s::date
                       THEN v.first_circulation_on ELSE %(common_due)s::date END AS due_on
      ) due
      CROSS JOIN LATERAL ({stage}) stage
     WHERE v.active
       AND NOT (v.category = ANY(%(exempt)s))
       AND NOT (v.kind = 'sea' AND v.sea_kind <> 'other' AND coalesce(v.engine_kw, 0) < 90
                AND NOT (v.sea_kind = 'pleasure' AND (coalesce(v.length_cm, 0) >= 700 OR v.power_cv >= 22)))
       AND v.first_circulation_on <= %(day)s
       AND NOT EXISTS (SELECT FROM core_taxpayment p WHERE p.vehicle_id = v.id
                          AND p.fiscal_year = stage.fiscal_year AND p.status <> 'cancelled')
       AND NOT EXISTS (SELECT FROM core_reminder r WHERE r.vehicle_id = v.id
                          AND r.fiscal_year = stage.fiscal_year AND r.stage_on > stage.day)
       AND NOT EXISTS (SELECT FROM outbox_mail m WHERE m.state <> 'planned'
                          AND m.key = 'reminder:' || o.id || ':' || %(day_text)s)
       AND 'core.owner:' || o.id NOT IN (
           SELECT m.reference FROM outbox_mail m WHERE m.kind = 'reminder' AND (m.state = 'claimed'
               OR m.state = 'sent' AND m.claimed_at >= %(day_starts)s AND m.claimed_at < %(day_ends)s))
    ON CONFLICT (vehicle_id, fiscal_year, stage) DO NOTHING
"""

# The latest stage of this year that has come; core.calendar.latest_stage says the same for one vehicle.
_UNPAID = """
    SELECT %(year)s AS fiscal_year, due.due_on,
           'due' || to_char(days.offset_days, 'FMSG999') AS name, due.due_on + days.offset_days AS day
      FROM (SELECT %(day)s::date - due.due_on AS since) passed
      CROSS JOIN LATERAL (
           SELECT CASE WHEN since < -7 THEN -30 WHEN since < 0 THEN -7 WHEN since < 7 THEN 0
                       WHEN since < 30 THEN 7 ELSE since / 30 * 30 END AS offset_days
      ) days
"""

# In December, caught up until its end: this year paid, the next one not.
_EXPIRING = """
    SELECT %(year)s + 1 AS fiscal_year, %(next_due)s::date AS due_on,
           'expiring' AS name, %(payable_from)s::date AS day
     WHERE EXISTS (SELECT FROM core_taxpayment p WHERE p.vehicle_id = v.id
                      AND p.fiscal_year = %(year)s AND p.status = 'paid')
"""

_OVERTAKEN = """
    UPDATE core_reminder r
       SET state = 'withdrawn', reason = 'overtaken by a later stage', settled_at = %(now)s
      FROM outbox_mail m
     WHERE m.key = r.mail_key AND m.state = 'planned' AND r.state = 'planned'
       AND (r.fiscal_year < %(year)s
            OR EXISTS (SELECT FROM core_reminder later WHERE later.vehicle_id = r.vehicle_id
                          AND later.fiscal_year = r.fiscal_year AND later.stage_on > r.stage_on))
"""

_WITHOUT_MAIL = """
      FROM core_reminder r
      JOIN core_vehicle v ON v.id = r.vehicle_id
      JOIN core_owner o ON o.id = v.owner_id
     WHERE r.state = 'planned' AND r.mail_key = ''
"""

# A mail still waiting takes the new reminders along, and may be more urgent for them.
_HASTEN = """
    UPDATE outbox_mail m SET due_on = LEAST(m.due_on, fresh.due_on)
      FROM (SELECT 'core.owner:' || o.id AS reference, min(r.due_on) AS due_on {without_mail}
             GROUP BY o.id) fresh
     WHERE m.reference = fresh.reference AND m.kind = 'reminder' AND m.state = 'planned'
"""

_MAILS = """
    SELECT 'reminder:' || o.id || ':' || %(day_text)s AS key, o.email AS recipient,
           'core.owner:' || o.id AS reference, min(r.due_on) AS due_on {without_mail}
       AND NOT EXISTS (SELECT FROM outbox_mail m WHERE m.kind = 'reminder' AND m.state = 'planned'
                          AND m.reference = 'core.owner:' || o.id)
     GROUP BY o.id
"""

_ASSIGN = """
    UPDATE core_reminder r SET mail_key = m.key
      FROM core_vehicle v, outbox_mail m
     WHERE v.id = r.vehicle_id AND r.state = 'planned' AND r.mail_key = ''
       AND m.reference = 'core.owner:' || v.owner_id AND m.kind = 'reminder' AND m.state = 'planned'
"""


@dataclass(frozen=True)
class Plan:
    """
    What was planned.

    :ivar planned: reminders with an address; ``unreachable`` are of owners who have none.
    :ivar mails: new mails; reminders may also join a mail that still waits.
    """

    planned: int
    unreachable: int
    overtaken: int
    mails: int


@transaction.atomic
def plan_reminders(*, day: date, planned_at: datetime) -> Plan:
    """
    Plan what is due on a local day: per vehicle the latest stage that has come; safe to repeat.

    :param planned_at: the real clock's instant; it marks the reminders of this run.
    """
    parameters = _parameters(day, planned_at)
    hold_planned(kind=KIND)
    _execute(_INSERT.format(stage=_UNPAID), parameters)
    if day >= payable_from(day.year + 1):
        _execute(_INSERT.format(stage=_EXPIRING), parameters)
    overtaken = _execute(_OVERTAKEN, parameters)
    failpoint("core.planning")
    _execute(_HASTEN.format(without_mail=_WITHOUT_MAIL), parameters)
    mails = queue_selected(
        kind=KIND,
        category=KIND,
        selected=_MAILS.format(without_mail=_WITHOUT_MAIL),
        parameters=parameters,
    )
    _execute(_ASSIGN, parameters)
    new = Reminder.objects.filter(planned_at=planned_at)
    unreachable = new.filter(state=Reminder.State.UNREACHABLE).count()
    return Plan(planned=new.count() - unreachable, unreachable=unreachable, overtaken=overtaken, mails=mails)


def _parameters(day: date, planned_at: datetime) -> dict[str, Any]:
    starts = timezone.make_aware(datetime.combine(day, time.min))
    return {
        "day": day,
        "day_text": day.isoformat(),
        "year": day.year,
        "first_day": date(day.year, 1, 1),
        "common_due": date(day.year, 1, 31),
        "next_due": date(day.year + 1, 1, 31),
        "payable_from": payable_from(day.year + 1),
        "exempt": [str(category) for category in EXEMPT],
        "now": planned_at,
        "day_starts": starts,
        "day_ends": starts + timedelta(days=1),
    }


def _execute(statement: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)

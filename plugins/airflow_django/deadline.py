"""
A deadline counted from the instant a run was due.

Evaluated in the scheduler, the api-server and the CLI when a run is created, so this module must never
import Django, and must never raise: a run whose deadline fails to evaluate is not created at all.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.definitions.deadline import BaseDeadlineReference, deadline_reference

logger = logging.getLogger(__name__)

# A run created later than this was not late through its own fault: unpausing, catching up, a late trigger.
CREATED_LATE = timedelta(minutes=5)


@deadline_reference()
class RunAfterDeadline(BaseDeadlineReference):
    """
    Count from ``run_after``, or from now for a run created late; backfills have no deadline.

    ``DAGRUN_LOGICAL_DATE`` gives manual runs none and raises false alarms on backfills;
    ``DAGRUN_QUEUED_AT`` breaks the clearing of runs.
    """

    required_kwargs = {"dag_id", "run_id"}

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        from airflow.models import DagRun
        from sqlalchemy import select

        query = select(DagRun.run_type, DagRun.run_after).where(
            DagRun.dag_id == dag_id, DagRun.run_id == run_id
        )
        try:
            found = session.execute(query).one_or_none()
        except Exception:
            logger.exception("The deadline of %s %s could not be evaluated.", dag_id, run_id)
            return None
        return None if found is None else counted_from(str(found[0]), found[1], datetime.now(UTC))


def counted_from(run_type: str, run_after: datetime, now: datetime) -> datetime | None:
    """Say from when a run's deadline counts, or that it has none."""
    if run_type.rpartition(".")[2].lower() in {"backfill", "backfill_job"}:
        return None
    return run_after if now - run_after <= CREATED_LATE else now

"""What the operations did: the ledger."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class OperationRun(models.Model):
    """
    One run of one operation, whoever started it.

    Written before the work starts and again when it ends; ``heartbeat_at`` moves in between, so that a run
    whose process was killed can be told from one that is still working.
    """

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        ABANDONED = "abandoned", _("abandoned")

    operation = models.CharField(_("operation"), max_length=100)
    period = models.CharField(_("period"), max_length=40)
    as_of = models.DateTimeField(_("as of"))
    dry_run = models.BooleanField(_("dry run"), default=False)
    options = models.JSONField(_("options"), default=dict)
    requested_by = models.CharField(_("asked by"), max_length=150)
    dag_run_id = models.CharField(_("DAG run"), max_length=250, blank=True, default="")
    try_number = models.PositiveIntegerField(_("try"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"))
    heartbeat_at = models.DateTimeField(_("heartbeat"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RUNNING)
    exit_code = models.PositiveSmallIntegerField(_("exit code"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True, default="")
    report = models.JSONField(_("report"), default=dict)

    class Meta:
        verbose_name = _("operation run")
        verbose_name_plural = _("operation runs")
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["operation", "-started_at"], name="operation_run_latest"),
            models.Index(fields=["operation", "period", "state"], name="operation_run_period"),
        ]
        constraints = [
            models.CheckConstraint(
                name="operation_run_finished_iff_not_running",
                condition=models.Q(state="running", finished_at__isnull=True)
                | (~models.Q(state="running") & models.Q(finished_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.period} #{self.pk}"

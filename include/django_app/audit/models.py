"""The audit trail's rows, and its head."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.utils.translation import gettext_lazy as _

from audit.record import instant

models.BinaryField.register_lookup(Length)


class AuditEntry(models.Model):
    """
    One thing that happened; see :mod:`audit.record` for how it is hashed.

    Append only: Postgres refuses to update, delete or truncate (migration 0002), and rows are written by
    :mod:`audit.services` alone. There are no foreign keys, so that deleting a user or a vehicle breaks
    nothing. ``payload`` is text, byte for byte what was hashed: jsonb would rewrite it.
    """

    sequence = models.BigIntegerField(_("sequence"), primary_key=True)
    at_us = models.BigIntegerField(_("instant (µs, UTC)"))
    actor = models.TextField(_("actor"))
    action = models.TextField(_("action"))
    subject_type = models.TextField(_("subject type"))
    subject_id = models.TextField(_("subject"))
    payload = models.TextField(_("payload"))
    previous_hash = models.BinaryField(_("previous hash"), unique=True)
    entry_hash = models.BinaryField(_("entry hash"))

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-sequence"]
        indexes = [
            models.Index(fields=["subject_id", "action"], name="audit_entry_subject"),
            models.Index(fields=["at_us"], name="audit_entry_at"),
        ]
        constraints = [
            models.CheckConstraint(name="audit_entry_sequence_from_1", condition=Q(sequence__gte=1)),
            models.CheckConstraint(
                name="audit_entry_hashes_are_32_bytes",
                condition=Q(previous_hash__length=32, entry_hash__length=32),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action}"

    @property
    def at(self) -> datetime:
        """When it was written, UTC."""
        return instant(self.at_us)


class AuditHead(models.Model):
    """The trail's last entry: one row, locked by whoever appends."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)
    at_us = models.BigIntegerField(default=0)
    entry_hash = models.BinaryField()

    class Meta:
        verbose_name = _("audit head")
        verbose_name_plural = _("audit head")
        constraints = [models.CheckConstraint(name="audit_head_is_one_row", condition=Q(id=1))]

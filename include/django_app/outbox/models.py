"""Mails on their way: one row each, from the moment something decides that it should go out."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class Mail(models.Model):
    """
    One mail to one address.

    ``key`` makes it unique: whatever is run again, the same mail is stored once. ``kind`` names who renders
    it when it is sent ("stored" mails carry their text); ``reference`` names whom it is about, for that
    renderer. ``claimed_at`` is the last time it was handed to the relay: it counts against the hour's budget.
    ``message_id`` is fixed before the first attempt,
    so that the one permitted duplicate can be recognised by the receiver.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        CLAIMED = "claimed", _("claimed")
        SENT = "sent", _("sent")
        WITHDRAWN = "withdrawn", _("withdrawn")
        REFUSED = "refused", _("refused")

    class Category(models.TextChoices):
        ALERT = "alert", _("alert")
        NOTICE = "notice", _("notice")
        REMINDER = "reminder", _("reminder")

    key = models.CharField(_("key"), max_length=200, unique=True)
    kind = models.CharField(_("kind"), max_length=50, default="stored")
    category = models.CharField(_("category"), max_length=10, choices=Category)
    recipient = models.EmailField(_("recipient"))
    subject = models.CharField(_("subject"), max_length=250, blank=True, default="")
    text = models.TextField(_("text"), blank=True, default="")
    html = models.TextField(_("HTML"), blank=True, default="")
    reference = models.CharField(_("reference"), max_length=100, blank=True, default="")
    due_on = models.DateField(_("due on"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PLANNED)
    message_id = models.CharField(_("Message-ID"), max_length=200, unique=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    not_before = models.DateTimeField(_("not before"))
    claimed_at = models.DateTimeField(_("claimed"), null=True, blank=True)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True, default="")
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        ordering = ["-created_at", "-id"]
        indexes = [
            # The order of sending, which is also the alphabet's: alert, notice, reminder.
            models.Index(
                F("category"),
                F("due_on").asc(nulls_first=True),
                F("id"),
                name="mail_waiting",
                condition=Q(state__in=["planned", "claimed"]),
            ),
            models.Index(fields=["claimed_at"], name="mail_claimed_at"),
        ]
        constraints = [
            models.CheckConstraint(
                name="mail_sent_iff_sent_at",
                condition=Q(state="sent", sent_at__isnull=False)
                | (~Q(state="sent") & Q(sent_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return self.key

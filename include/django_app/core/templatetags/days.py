"""Days for people, in the language in force: ``1er février 2026``, ``31 Janoary 2026``."""

from datetime import date

from django import template
from django.utils.formats import date_format
from django.utils.translation import get_language

register = template.Library()

# Django knows no Malagasy.
MALAGASY_MONTHS = (
    "Janoary", "Febroary", "Martsa", "Aprily", "Mey", "Jona",
    "Jolay", "Aogositra", "Septambra", "Oktobra", "Novambra", "Desambra",
)  # fmt: skip
FIXED = "\u00a0"


@register.filter
def day(value: date) -> str:
    """Write a day in full; no-break spaces keep it on one line."""
    if get_language() == "mg":
        return FIXED.join((str(value.day), MALAGASY_MONTHS[value.month - 1], str(value.year)))
    written = date_format(value, "j F Y").replace(" ", FIXED)
    return written.replace("1", "1er", 1) if value.day == 1 and get_language() == "fr" else written

"""Amounts for people: ``150 000 Ar``."""

from django import template

register = template.Library()

# Narrow no-break spaces between thousands, a no-break space before the unit: French and Malagasy usage.
THIN, FIXED = "\u202f", "\u00a0"


@register.filter
def ariary(amount: int | None) -> str:
    """Write whole ariary with grouped thousands; nothing for ``None``."""
    if amount is None:
        return ""
    return f"{amount:,}".replace(",", THIN).replace("-", "\u2212") + f"{FIXED}Ar"

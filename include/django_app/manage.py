#!/usr/bin/env python
"""Run a management command of the vehicle-tax project."""

import os
import sys

# EX_CONFIG of sysexits.h, as in operations.outcomes, which can't be imported without settings.
MISCONFIGURED = 78


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(MISCONFIGURED)


if __name__ == "__main__":
    main()

"""A command as projects have them: prints, exits, raises."""

import json
import os
import sys
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--on", type=date.fromisoformat, default=None)
        parser.add_argument("--month", default=None)
        parser.add_argument("--loud", action="store_true")
        parser.add_argument("--end", default="well")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write("selling")
        self.stderr.write("a line for people")
        end = options["end"]
        if end == "command-error":
            raise CommandError("no such shop", returncode=65)
        if end == "exit-75":
            sys.exit(75)
        if end == "database-away":
            raise OperationalError("connection refused")
        if end == "crash":
            raise ValueError("boom")
        shown = {key: str(options[key]) for key in ("on", "month", "loud")}
        self.stdout.write(json.dumps({**shown, "pid": os.getpid()}))

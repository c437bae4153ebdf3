"""Fill an empty database with demo data."""

import json
from dataclasses import asdict
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from operations.outcomes import USAGE
from payments.seed.services import TrailInUse, demo_seed


class Command(BaseCommand):
    help = "Fill an empty database with demo data; the same arguments give the same rows."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--vehicles", type=int, default=2_000)
        parser.add_argument("--agents", type=int, default=40)
        parser.add_argument("--months", type=int, default=12, help="months of cash before --as-of")
        parser.add_argument(
            "--as-of", type=date.fromisoformat, default=None, help="YYYY-MM-DD (default: today)"
        )
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing where there are records already"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        sizes = {name: options[name] for name in ("vehicles", "agents", "months")}
        for name, size in sizes.items():
            if size < 1:
                raise CommandError(f"--{name}: {size} is less than 1", returncode=USAGE)
        try:
            report = demo_seed(**sizes, as_of=options["as_of"] or timezone.localdate(), seed=options["seed"])
        except TrailInUse as error:
            if options["if_empty"]:
                return
            raise CommandError(str(error), returncode=USAGE) from None
        self.stdout.write(json.dumps(asdict(report)))

"""``python -m deploy.embedded up|down|status``."""

import argparse
import sys

from deploy.embedded.down import down
from deploy.embedded.stack import Stack, StackError
from deploy.embedded.status import status
from deploy.embedded.up import up


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    starting = verbs.add_parser("up", help="start everything and run each operation once")
    starting.add_argument("--no-first-run", action="store_true", help="start only")
    verbs.add_parser("down", help="stop everything")
    verbs.add_parser("status", help="say what runs")
    arguments = parser.parse_args()
    try:
        stack = Stack.from_environment()
        if arguments.verb == "up":
            return 0 if up(stack, first_run=not arguments.no_first_run) else 1
        if arguments.verb == "status":
            return 0 if status(stack) else 1
        ended = down(stack)
    except StackError as error:
        print(f"make {arguments.verb}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"make {arguments.verb}: interrupted; `make down` stops what was started", file=sys.stderr)
        return 130
    print(f"stopped{f' ({ended} processes had lost their supervisor)' if ended else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

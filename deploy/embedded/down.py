"""``make down``: stop everything that carries the stack's mark, also what outlived its supervisor."""

import contextlib
import signal
from collections.abc import Iterator

import psutil

from deploy.embedded import supervisor
from deploy.embedded.stack import Stack

PATIENCE_S = 20


def down(stack: Stack) -> int:
    """
    Stop the stack; safe to repeat.

    :returns: how many processes had to be ended one by one, 0 when the supervisor did it all.
    """
    supervisor.stop_supervisor(stack)
    orphans = list(processes(stack))
    for each in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            # The interrupt is PostgreSQL's fast shutdown; for the others it is as good as any.
            each.send_signal(signal.SIGINT) if each.name() == "postgres" else each.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=PATIENCE_S)
    for each in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(alive, timeout=PATIENCE_S)
    supervisor.socket_file(stack).unlink(missing_ok=True)
    return len(orphans)


def processes(stack: Stack) -> Iterator[psutil.Process]:
    """Every process of the stack, by the mark in its environment; never this one or its parents."""
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if each.pid not in own and each.environ().get("STACK_ID") == stack.mark:
                yield each

"""``make down``: stop everything that carries the stack's mark, also what outlived its supervisor."""

import contextlib
import signal
from collections.abc import Iterator

import psutil

from deploy.embedded import supervisor
from deploy.embedded.stack import Stack, StackError

PATIENCE_S = 10
# What is ended may just have started something.
ROUNDS = 3


def down(stack: Stack) -> int:
    """
    Stop the stack; safe to repeat.

    :returns: how many processes had to be ended one by one, 0 when the supervisor did it all.
    :raises StackError: something can't be ended.
    """
    supervisor.stop_supervisor(stack)
    ended = sum(end_all(list(processes(stack))) for _ in range(ROUNDS))
    if left := [f"{each.pid} ({each.name()})" for each in processes(stack)]:
        raise StackError(f"These processes of the stack can't be ended: {', '.join(left)}.")
    supervisor.socket_file(stack).unlink(missing_ok=True)
    return ended


def end_all(orphans: list[psutil.Process]) -> int:
    """Ask each to end, make those that don't, and return how many there were."""
    for each in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            # The interrupt is PostgreSQL's fast shutdown; for the others it is as good as any.
            each.send_signal(signal.SIGINT) if each.name() == "postgres" else each.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=PATIENCE_S)
    for each in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(alive, timeout=PATIENCE_S)
    return len(orphans)


def processes(stack: Stack) -> Iterator[psutil.Process]:
    """Every process of the stack, by the mark in its environment; never this one or its parents."""
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if each.pid not in own and each.environ().get("STACK_ID") == stack.mark:
                yield each

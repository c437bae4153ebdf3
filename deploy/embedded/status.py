"""``make status``: what runs, whether it is well, and how much memory it takes."""

import contextlib
import smtplib
from collections import defaultdict
from typing import Any

import psutil
import redis

from deploy.embedded import postgres, supervisor
from deploy.embedded.airflow_api import AirflowApi
from deploy.embedded.down import processes
from deploy.embedded.secrets import secret
from deploy.embedded.stack import Stack, StackError
from deploy.embedded.up import site_answers


def status(stack: Stack) -> bool:
    """
    Print a line for each program.

    :returns: whether all run and are healthy.
    """
    known = supervisor.state(stack)
    if known is None:
        left = len(list(processes(stack)))
        lost = f", but {left} of its processes have lost their supervisor" if left else ""
        print(f"The stack in {stack.var} is not running{lost}: `make up` starts it.")
        return False
    health, memory = _health(stack), _memory(known)
    print(f"{'program':<14}{'state':<10}{'healthy':<9}{'MB (PSS)':>9}  pid")
    for name in supervisor.PROGRAMS:
        info = known[name]
        well = "yes" if health[name] else "NO"
        print(f"{name:<14}{info['statename']:<10}{well:<9}{memory[name]:>9.0f}  {info['pid'] or '-'}")
    print(f"{'total':<33}{sum(memory.values()):>9.0f}")
    return all(health.values()) and all(known[name]["statename"] == "RUNNING" for name in supervisor.PROGRAMS)


def _health(stack: Stack) -> dict[str, bool]:
    found = {
        "postgres": postgres.answers(stack),
        "redis": _redis_answers(stack),
        "mail": _mail_answers(stack),
        "django": site_answers(stack),
    }
    try:
        airflow = AirflowApi(stack).health()
    except StackError:
        airflow = {}
    found["api-server"] = bool(airflow)
    return {
        **found,
        **{name: airflow.get(name) == "healthy" for name in ("scheduler", "dag-processor", "triggerer")},
    }


def _redis_answers(stack: Stack) -> bool:
    client = redis.Redis(port=stack.ports["REDIS_PORT"], password=secret(stack, "redis"), socket_timeout=3)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _mail_answers(stack: Stack) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", stack.ports["SMTP_PORT"], timeout=3) as relay:
            return relay.noop()[0] == 250
    except OSError:
        return False


def _memory(known: dict[str, Any]) -> dict[str, float]:
    """Megabytes of each program with its children: the share of shared pages counted once (PSS)."""
    total: dict[str, float] = defaultdict(float)
    for name, info in known.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(info["pid"]) if info["pid"] else None
            for each in [process, *process.children(recursive=True)] if process else []:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    total[name] += _megabytes(each)
    return total


def _megabytes(process: psutil.Process) -> float:
    info = process.memory_full_info()
    return float(getattr(info, "pss", None) or info.uss) / 2**20

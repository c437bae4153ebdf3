"""``make up``: make what isn't there, start what doesn't run, prove that it works."""

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from deploy.embedded import postgres, supervisor
from deploy.embedded.airflow_api import AirflowApi, open_directly
from deploy.embedded.down import down, processes
from deploy.embedded.environment import changed_settings, process_environment, write_environment
from deploy.embedded.first_run import catalogue, run_each_once, set_pools, unpause, wait_for_dags
from deploy.embedded.progress import say
from deploy.embedded.secrets import airflow_password, secret, write_private
from deploy.embedded.stack import ROOT, Stack, StackError

HEALTHY_WITHIN_S = 120


def up(stack: Stack, *, first_run: bool) -> bool:
    """
    Bring the stack up; safe to repeat, and quick when it runs.

    :returns: whether everything, the operations' first runs included, succeeded.
    :raises StackError: something stops it.
    """
    stack.make_folders()
    with _alone(stack):
        return _up(stack, first_run=first_run)


def _up(stack: Stack, *, first_run: bool) -> bool:
    running = supervisor.state(stack) is not None
    if running:
        _refuse_changed_settings(stack)
    else:
        _end_orphans(stack)
        _refuse_taken_ports(stack)
    write_environment(stack)
    _write_redis_configuration(stack)
    if not running:
        say("making and starting PostgreSQL, Redis and the mail sink")
        postgres.make_cluster(stack)
        supervisor.start_supervisor(stack)
    supervisor.start_programs(stack, supervisor.SERVERS)
    supervisor.wait_until(
        lambda: postgres.answers(stack), 60, f"PostgreSQL doesn't answer: see {stack.logs}/postgres.log"
    )
    postgres.make_databases(stack)
    with ThreadPoolExecutor(2) as pool:
        site = pool.submit(_prepare_site, stack)
        _prepare_airflow(stack, site)
        site.result()
    api = AirflowApi(stack)
    _wait_for_airflow(stack, api)
    set_pools(stack, api)
    wait_for_dags(stack, api)
    supervisor.wait_until(
        lambda: site_answers(stack), 60, f"The site doesn't answer: see {stack.logs}/django.log"
    )
    _print_doors(stack)
    try:
        return not first_run or run_each_once(stack, api)
    finally:
        unpause(api, catalogue(stack)["operations"])


@contextmanager
def _alone(stack: Stack) -> Iterator[None]:
    """
    Keep a second ``make up`` of the same stack out: it would take the first one's programs for orphans.

    :raises StackError: another one is at work.
    """
    with (stack.var / ".up").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"Another `make up` is at work in {stack.var}: wait for it.") from None
        yield


def _refuse_changed_settings(stack: Stack) -> None:
    if changed := changed_settings(stack):
        raise StackError(
            f"The stack runs with other settings ({', '.join(changed)}): `make down` first, then `make up`."
        )


def _end_orphans(stack: Stack) -> None:
    """End what outlived a killed supervisor: it holds the ports and the data."""
    if any(True for _ in processes(stack)):
        say("ending what had lost its supervisor")
        down(stack)


def _refuse_taken_ports(stack: Stack) -> None:
    for name, port in stack.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise StackError(
                    f"The port {port} is taken ({error.strerror}): set {name} in .env to another."
                ) from None


def _write_redis_configuration(stack: Stack) -> None:
    lines = (
        "bind 127.0.0.1",
        f"port {stack.ports['REDIS_PORT']}",
        f"requirepass {secret(stack, 'redis')}",
        f"dir {stack.var / 'redis'}",
        "appendonly yes",
        "daemonize no",
        # A rewritten title would overwrite our mark in its environment.
        "set-proc-title no",
    )
    write_private(stack.var / "redis" / "redis.conf", "\n".join(lines) + "\n")


def _prepare_airflow(stack: Stack, site: "Future[None]") -> None:
    """Migrate Airflow's database, where this version hasn't, and start its components."""
    from importlib.metadata import version

    stamp = stack.var / "airflow" / "migrated-by"
    if not stamp.exists() or stamp.read_text() != version("apache-airflow"):
        say("making Airflow's database")
        _run(stack, [stack.program("airflow"), "db", "migrate"], "airflow-db-migrate")
        stamp.write_text(version("apache-airflow"))
    supervisor.start_programs(stack, supervisor.AIRFLOW)
    if site.done():
        site.result()


def _prepare_site(stack: Stack) -> None:
    """Migrate the application's database as its owner, seed it once, collect its files, start it."""
    say("making the application's database")
    _manage(stack, "migrate", "--no-input", owner=True)
    _manage(stack, "collectstatic", "--no-input")
    supervisor.start_programs(stack, ["django"])
    if not (stack.var / "seeded").exists():
        say("seeding demo data")
        _seed(stack)
        (stack.var / "seeded").touch()
    _make_admin(stack)


def _seed(stack: Stack) -> None:
    environment = process_environment(stack)
    named = {
        f"--{name}": f"SEED_{name.replace('-', '_').upper()}"
        for name in ("vehicles", "agents", "months", "as-of")
    }
    arguments = [f"{option}={environment[name]}" for option, name in named.items() if environment.get(name)]
    _manage(stack, "seed_demo", "--if-empty", *arguments)


def _make_admin(stack: Stack) -> None:
    if (stack.var / "admin-made").exists():
        return
    _manage(
        stack,
        "shell",
        "--verbosity=0",
        "-c",
        "import os\n"
        "from django.contrib.auth import get_user_model\n"
        "users = get_user_model().objects\n"
        "if not users.filter(username='admin').exists():\n"
        "    users.create_superuser('admin', 'admin@revenue.example', os.environ['SITE_ADMIN_PASSWORD'])\n",
        more={"SITE_ADMIN_PASSWORD": secret(stack, "site-admin", size=12)},
    )
    (stack.var / "admin-made").touch()


def _manage(stack: Stack, *arguments: str, owner: bool = False, more: dict[str, str] | None = None) -> None:
    extra = {**(more or {}), **({"TAXOPS_USE_OWNER": "1"} if owner else {})}
    _run(stack, [sys.executable, "include/django_app/manage.py", *arguments], f"manage-{arguments[0]}", extra)


def _run(stack: Stack, command: Sequence[str], name: str, more: dict[str, str] | None = None) -> None:
    """Run a command to its end, its output in a log."""
    log = stack.logs / f"{name}.log"
    with log.open("w") as output:
        environment = {**process_environment(stack), **(more or {})}
        code = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False
        ).returncode
    if code:
        last = log.read_text().strip().splitlines()[-1:] or ["no output"]
        raise StackError(f"{os.path.basename(command[0])} {name} left with {code}: {last[0]} (see {log})")


def _wait_for_airflow(stack: Stack, api: AirflowApi) -> None:
    say("waiting for Airflow's components")

    def healthy() -> bool:
        try:
            return set(api.health().values()) == {"healthy"}
        except StackError:
            return False

    supervisor.wait_until(healthy, HEALTHY_WITHIN_S, f"Airflow isn't healthy: see the logs in {stack.logs}")


def site_answers(stack: Stack) -> bool:
    """Say whether the site shows its log-in page."""
    try:
        with open_directly(f"{stack.site_url}/admin/login/", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _print_doors(stack: Stack) -> None:
    site_password = secret(stack, "site-admin", size=12)
    print(
        f"\nAirflow  {stack.airflow_url}   admin / {airflow_password(stack)}\n"
        f"Site     {stack.site_url}   admin / {site_password}\n"
        f"Mails    {stack.var / 'mail'}\nLogs     {stack.logs}\n",
        flush=True,
    )

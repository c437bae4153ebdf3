"""The environment of every process of the stack, and of the wrappers in ``bin/``."""

import json
import os
import shlex
from urllib.parse import quote

from deploy.embedded.secrets import airflow_passwords, fernet_key, secret, write_private
from deploy.embedded.stack import ROOT, Stack

HOST = "127.0.0.1"
# How long a task bears an api-server that is away, 8 s by default: each call is repeated after 1 to 10 s, in
# all for about 3 minutes, and two heartbeats may fail so.
PATIENT_CALLS = {
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "36",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "2",
}


def environment(stack: Stack) -> dict[str, str]:
    """Make the whole environment; what a person overrides wins."""
    own = {**_base(stack), **_django(stack), **_airflow(stack), **_connections(stack)}
    return {**own, **stack.overrides, "STACK_ID": stack.mark, "STACK_VAR": str(stack.var)}


def process_environment(stack: Stack) -> dict[str, str]:
    """The stack's environment over what a process needs of this one: PATH, HOME, locale."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "DJANGO_", "TAXOPS_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**inherited, **environment(stack)}


def write_environment(stack: Stack) -> None:
    """Write ``var/env`` (0600) for ``bin/airflow`` and ``bin/manage``."""
    write_private(stack.var / "env", "".join(f"{line}\n" for line in _exports(stack)))


def changed_settings(stack: Stack) -> list[str]:
    """The names of the variables that differ from those the stack was started with."""
    file = stack.var / "env"
    differing = set(file.read_text().splitlines() if file.exists() else ()) ^ set(_exports(stack))
    names = {line.removeprefix("export ").partition("=")[0] for line in differing}
    # The size of the demo data matters only when there is none yet.
    return sorted(name for name in names if not name.startswith("SEED_"))


def _exports(stack: Stack) -> list[str]:
    return [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment(stack).items())]


def database_url(stack: Stack, role: str, database: str, scheme: str = "postgresql") -> str:
    password = quote(secret(stack, f"postgres-{role}"), safe="")
    return f"{scheme}://{role}:{password}@{HOST}:{stack.ports['POSTGRES_PORT']}/{database}"


def _base(stack: Stack) -> dict[str, str]:
    ports = {name: str(port) for name, port in stack.ports.items()}
    # SPT_NOENV: Airflow rewrites its processes' titles, and must leave our mark in their environment alone.
    # NO_PROXY: the stack talks to itself, never by way of somebody's proxy.
    direct = {name: f"{HOST},localhost" for name in ("NO_PROXY", "no_proxy")}
    return {**ports, **direct, "PYTHONUNBUFFERED": "1", "SPT_NOENV": "1"}


def _django(stack: Stack) -> dict[str, str]:
    redis = f"redis://:{quote(secret(stack, 'redis'), safe='')}@{HOST}:{stack.ports['REDIS_PORT']}/0"
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DJANGO_SECRET_KEY": secret(stack, "django", size=48),
        "TAXOPS_DATABASE_URL": database_url(stack, "taxops", "taxops"),
        "TAXOPS_OWNER_DATABASE_URL": database_url(stack, "taxops_owner", "taxops"),
        "TAXOPS_REDIS_URL": redis,
        "TAXOPS_SMTP_URL": f"smtp://{HOST}:{stack.ports['SMTP_PORT']}",
        "TAXOPS_MAIL_FROM": "taxe-vehicules@revenue.example",
        "TAXOPS_ALERT_RECIPIENTS": "operations@revenue.example",
        "TAXOPS_FINANCE_RECIPIENTS": "finance@revenue.example",
        "TAXOPS_SUPERVISOR_RECIPIENTS": "supervisors@revenue.example",
        "TAXOPS_AUDITOR_RECIPIENTS": "auditors@revenue.example",
        "TAXOPS_AUDIT_ORIGIN": "demo.revenue.example",
        "TAXOPS_REPORTS_DIR": str(stack.var / "reports"),
        "TAXOPS_STATIC_ROOT": str(stack.var / "static"),
        "TAXOPS_CATALOGUE": str(ROOT / "include" / "operations.toml"),
        "TAXOPS_SITE_URL": stack.site_url,
        "TAXOPS_AIRFLOW_URL": stack.airflow_url,
    }


def _airflow(stack: Stack) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(stack.var / "airflow"),
        "AIRFLOW_DJANGO_PROJECT": str(ROOT / "include" / "django_app"),
        "AIRFLOW_DJANGO_CATALOGUE": str(ROOT / "include" / "operations.toml"),
        "AIRFLOW_DJANGO_ALERT_RECIPIENTS": "operations@revenue.example",
        "AIRFLOW_DJANGO_SITE_NAME": "demo.revenue.example",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Indian/Antananarivo",
        "AIRFLOW__CORE__FERNET_KEY": fernet_key(stack),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{stack.airflow_url}/execution/",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(airflow_passwords(stack)),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(
            stack, "airflow", "airflow", "postgresql+psycopg2"
        ),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(stack.ports["AIRFLOW_PORT"]),
        "AIRFLOW__API__BASE_URL": stack.airflow_url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secret(stack, "airflow-api", size=48),
        "AIRFLOW__API_AUTH__JWT_SECRET": secret(stack, "airflow-jwt", size=72),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        # A task's end is noticed at the next heartbeat.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        **PATIENT_CALLS,
        "AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _connections(stack: Stack) -> dict[str, str]:
    redis = {
        "conn_type": "redis",
        "host": HOST,
        "port": stack.ports["REDIS_PORT"],
        "password": secret(stack, "redis"),
        "extra": {"db": 0},
    }
    smtp = {
        "conn_type": "smtp",
        "host": HOST,
        "port": stack.ports["SMTP_PORT"],
        "extra": {
            "disable_ssl": True,
            "disable_tls": True,
            "from_email": "airflow@revenue.example",
            "timeout": 15,
        },
    }
    return {"AIRFLOW_CONN_REDIS_DEFAULT": json.dumps(redis), "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(smtp)}

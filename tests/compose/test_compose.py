"""The compose file: valid by the specification, no secret with a default, only web ports published."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?:(:\?|:-)([^}]*))?\}")


def test_it_is_valid_by_the_specification() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")

    run = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout


def test_every_secret_is_required_and_none_has_a_default() -> None:
    secret = re.compile("PASSWORD|SECRET|KEY|SMTP")

    for name, kind, _ in VARIABLE.findall(TEXT):
        if secret.search(name):
            assert kind == ":?", name
    assert not re.search(r"(?i)password: *[a-z0-9]", TEXT)


def test_every_variable_is_documented_and_every_required_one_is_empty_there() -> None:
    documented = dict(re.findall(r"(?m)^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text()))

    used = VARIABLE.findall(TEXT)

    assert {name for name, _, _ in used} <= set(documented)
    assert {documented[name] for name, kind, _ in used if kind == ":?"} == {""}


def test_only_the_two_web_ports_are_published_and_on_loopback_unless_asked() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert sorted(published) == ["api-server", "django"]
    for (port,) in published.values():
        assert port.startswith("${PUBLISH_ON:-127.0.0.1}:")


def test_the_servers_talk_to_nobody_outside() -> None:
    assert COMPOSE["networks"]["data"]["internal"] is True
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["data"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"init"}))
def test_every_service_restarts_and_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"]


def test_the_database_counts_as_healthy_only_when_others_can_reach_it() -> None:
    test = SERVICES["postgres"]["healthcheck"]["test"]

    assert test[test.index("-h") + 1] == "127.0.0.1"


def test_only_init_and_the_server_know_the_owner_of_the_tables() -> None:
    knowing = {name for name, service in SERVICES.items() if "OWNER" in str(service.get("environment"))}

    assert knowing == {"postgres", "init"}


def test_no_secret_is_on_a_command_line() -> None:
    secret = re.compile(r"\$.*(PASSWORD|SECRET|KEY)")

    for name, service in SERVICES.items():
        assert not any(secret.search(part) for part in service.get("command", [])), name
    for script in (ROOT / "deploy/compose").glob("*.sh"):
        # `printf` is the shell's own and starts no process.
        text = re.sub(r"printf [^|]*\|", "", script.read_text().replace("\\\n", ""))
        assert not secret.search(text), script.name


def test_the_folders_that_volumes_take_over_are_made_in_the_image() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    made = re.search(r"(?m)^RUN mkdir -p (.+)$", dockerfile)

    mounted = {
        Path(volume.split(":")[1]).name
        for volume in COMPOSE["x-application"]["volumes"]
        if volume.split(":")[0] in COMPOSE["volumes"]
    }

    assert made is not None
    assert mounted <= set(made[1].split())


def test_no_dag_waits_paused() -> None:
    assert COMPOSE["x-environment"]["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "False"


def test_everything_of_ours_starts_after_the_migrations() -> None:
    ours = [service for service in SERVICES.values() if "build" in service and service["restart"] != "no"]

    assert len(ours) == 6
    for service in ours:
        assert service["depends_on"]["init"]["condition"] == "service_completed_successfully"


def test_the_worker_takes_every_queue_of_the_catalogue() -> None:
    catalogue = tomllib.loads((ROOT / "include/operations.toml").read_text())
    queues = {table["queue"] for table in catalogue["operations"].values()}

    assert set(SERVICES["worker"]["command"][-1].split(",")) == queues | {"default"}


def test_the_image_is_the_locked_airflow() -> None:
    locked = re.search(r"(?m)^apache-airflow==(\S+)", (ROOT / "requirements.txt").read_text())

    assert locked is not None
    assert f"FROM apache/airflow:{locked[1]}-python3.12" in (ROOT / "Dockerfile").read_text()


def test_the_scripts_are_sound_shell() -> None:
    for script in (ROOT / "deploy/compose").glob("*.sh"):
        subprocess.run(["sh", "-n", script], check=True)

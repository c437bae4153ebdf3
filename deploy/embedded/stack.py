"""Where the stack lives and on which ports: the one value that everything else is made from."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORTS = {
    "POSTGRES_PORT": 15432,
    "REDIS_PORT": 16379,
    "AIRFLOW_PORT": 8080,
    "DJANGO_PORT": 8000,
    "SMTP_PORT": 1025,
}
# What a person may override for the processes of the stack, in `.env` or in the environment.
PASSED_ON = ("TAXOPS_", "AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_DJANGO_", "SEED_")


class StackError(Exception):
    """Something stops the stack; the message is one line that says what, and what to do."""


@dataclass(frozen=True)
class Stack:
    """
    One stack.

    :ivar var: the folder of everything it leaves behind (``STACK_VAR``, by default ``var/``).
    :ivar ports: by the names of :data:`DEFAULT_PORTS`, all on 127.0.0.1.
    :ivar overrides: variables that win over those the stack makes.
    """

    var: Path
    ports: Mapping[str, int]
    overrides: Mapping[str, str]

    @classmethod
    def from_environment(cls) -> "Stack":
        """
        Read ``.env`` and, over it, the environment.

        :raises StackError: a port isn't one, or is given twice.
        """
        settings = {**read_env_file(ROOT / ".env"), **os.environ}
        ports = {
            name: _port(name, settings.get(name) or str(default)) for name, default in DEFAULT_PORTS.items()
        }
        _refuse_twins(ports)
        overrides = {name: value for name, value in settings.items() if name.startswith(PASSED_ON)}
        # Relative to the project, so that it is the same folder from wherever it is asked for.
        return cls((ROOT / (settings.get("STACK_VAR") or "var")).resolve(), ports, overrides)

    @property
    def mark(self) -> str:
        """What every process of this stack carries as ``STACK_ID`` in its environment."""
        return str(self.var)

    @property
    def logs(self) -> Path:
        return self.var / "logs"

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['AIRFLOW_PORT']}"

    @property
    def site_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['DJANGO_PORT']}"

    def program(self, name: str) -> str:
        """A program of the virtual environment that this runs in."""
        return str(Path(sys.executable).with_name(name))

    def make_folders(self) -> None:
        """
        Make the state folders.

        :raises StackError: one can't be made or written.
        """
        private = ("logs", "secrets", "mail", "reports", "airflow", "redis", "static")
        for folder in (self.var, *(self.var / name for name in private)):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if folder != self.var:
                    # Mails, reports and logs name people.
                    folder.chmod(0o700)
                (folder / ".writable").touch()
                (folder / ".writable").unlink()
            except OSError as error:
                raise StackError(
                    f"The folder {folder} can't be used: {error.strerror}. Set STACK_VAR to another."
                ) from None


def _port(name: str, text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise StackError(f"{name}={text} is not a port.")
    return int(text)


def _refuse_twins(ports: Mapping[str, int]) -> None:
    names: dict[int, str] = {}
    for name, port in ports.items():
        if port in names:
            raise StackError(f"{names[port]} and {name} are both {port}: set one of them in .env to another.")
        names[port] = name


def read_env_file(file: Path) -> dict[str, str]:
    """Read ``NAME=value`` lines; blank lines and comments are passed over."""
    if not file.is_file():
        return {}
    lines = (line.strip().removeprefix("export ") for line in file.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}

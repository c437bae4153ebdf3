"""The stack's secrets: made once, each in a file of mode 0600."""

import base64
import json
import os
import secrets
from pathlib import Path

from deploy.embedded.stack import Stack


def secret(stack: Stack, name: str, *, size: int = 24) -> str:
    """Return the secret of this name, made now if it isn't there."""
    file = stack.var / "secrets" / name
    if not file.exists():
        write_private(file, secrets.token_urlsafe(size))
    return file.read_text()


def fernet_key(stack: Stack) -> str:
    """Airflow's key for connections and variables: 32 bytes in URL-safe base64."""
    file = stack.var / "secrets" / "fernet-key"
    if not file.exists():
        write_private(file, base64.urlsafe_b64encode(os.urandom(32)).decode())
    return file.read_text()


def airflow_passwords(stack: Stack) -> Path:
    """The file from which Airflow's simple auth manager reads its users' passwords."""
    file = stack.var / "secrets" / "airflow-passwords.json"
    if not file.exists():
        write_private(file, json.dumps({"admin": secrets.token_urlsafe(12)}))
    return file


def airflow_password(stack: Stack) -> str:
    """The password of Airflow's user ``admin``."""
    return str(json.loads(airflow_passwords(stack).read_text())["admin"])


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner reads; never, not even for a moment, readable by others."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(text)
    temporary.rename(file)

"""Settings for tools that read the code and never connect: mypy, ``makemigrations``, documentation."""

import os

os.environ.setdefault("DJANGO_SECRET_KEY", "never-used")
os.environ.setdefault("TAXOPS_DATABASE_URL", "postgresql:///offline?host=/nonexistent")
os.environ.setdefault("TAXOPS_AUDIT_ORIGIN", "offline")

from config.settings import *  # noqa: F403

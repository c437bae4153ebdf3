"""
Settings of the vehicle-tax project, all from the environment.

Every secret is required: a missing one stops the process with its name. ``deploy/embedded`` writes the
environment for a trial on one machine, ``docker-compose.yaml`` for production.
"""

import os
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def _required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ImproperlyConfigured(f"The environment variable {name} is not set.")
    return value


def _listed(name: str) -> list[str]:
    return [item.strip() for item in os.environ.get(name, "").split(",") if item.strip()]


def _whole(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None


def _database(name: str) -> dict[str, object]:
    url = urlsplit(_required(name))
    if url.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"{name} must be a postgresql:// address.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.lstrip("/"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        # `?host=/folder` names the folder of a Unix socket, as in libpq.
        "HOST": url.hostname or parse_qs(url.query).get("host", [""])[0],
        "PORT": str(url.port or 5432),
        "OPTIONS": {"connect_timeout": 10, "application_name": "taxops"},
    }


SECRET_KEY = _required("DJANGO_SECRET_KEY")
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
ALLOWED_HOSTS = _listed("DJANGO_ALLOWED_HOSTS") or ["127.0.0.1", "localhost"]
CSRF_TRUSTED_ORIGINS = _listed("DJANGO_CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "console",
    "payments",
    "core",
    "operations",
    "outbox",
    "audit",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# The application's role may not change audit entries; only `migrate` runs as the tables' owner.
DATABASES = {
    "default": _database(
        "TAXOPS_OWNER_DATABASE_URL" if os.environ.get("TAXOPS_USE_OWNER") == "1" else "TAXOPS_DATABASE_URL"
    ),
}
DATABASE_APPLICATION_ROLE = os.environ.get("TAXOPS_APPLICATION_ROLE", "taxops")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Instants are stored in UTC; every day, month and year is cut in this zone (docs/domain.md §1).
USE_TZ = True
TIME_ZONE = "Indian/Antananarivo"
USE_I18N = True
LANGUAGE_CODE = "fr"
LANGUAGES = [("fr", "Français"), ("mg", "Malagasy"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]

STATIC_URL = "static/"
STATIC_ROOT = os.environ.get("TAXOPS_STATIC_ROOT") or None

REDIS_URL = os.environ.get("TAXOPS_REDIS_URL", "")

_smtp = urlsplit(os.environ.get("TAXOPS_SMTP_URL") or "smtp://127.0.0.1:25")
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = _smtp.hostname or "127.0.0.1"
EMAIL_PORT = _smtp.port or 25
EMAIL_HOST_USER = unquote(_smtp.username or "")
EMAIL_HOST_PASSWORD = unquote(_smtp.password or "")
EMAIL_USE_TLS = _smtp.scheme == "smtp+starttls"
EMAIL_USE_SSL = _smtp.scheme == "smtps"
EMAIL_TIMEOUT = _whole("TAXOPS_SMTP_TIMEOUT", 30)
DEFAULT_FROM_EMAIL = os.environ.get("TAXOPS_MAIL_FROM", "taxops@localhost")

# The relay's hourly limit for every mail of the system; 0 means no limit (docs/domain.md §2).
MAIL_BUDGET_PER_HOUR = _whole("TAXOPS_MAIL_BUDGET_PER_HOUR", 1000)
MAIL_RESERVED_FOR_ALERTS = _whole("TAXOPS_MAIL_RESERVED_FOR_ALERTS", 100)
ALERT_RECIPIENTS = _listed("TAXOPS_ALERT_RECIPIENTS")
FINANCE_RECIPIENTS = _listed("TAXOPS_FINANCE_RECIPIENTS")
SUPERVISOR_RECIPIENTS = _listed("TAXOPS_SUPERVISOR_RECIPIENTS")
AUDITOR_RECIPIENTS = _listed("TAXOPS_AUDITOR_RECIPIENTS")

# Names this installation in every audit entry, so that entries of another one can't be spliced in.
AUDIT_ORIGIN = _required("TAXOPS_AUDIT_ORIGIN")
REPORTS_DIR = Path(os.environ.get("TAXOPS_REPORTS_DIR") or BASE_DIR.parent.parent / "var" / "reports")
OPERATIONS_CATALOGUE = Path(os.environ.get("TAXOPS_CATALOGUE") or BASE_DIR.parent / "operations.toml")
SITE_URL = os.environ.get("TAXOPS_SITE_URL", "http://127.0.0.1:8000").rstrip("/")
AIRFLOW_URL = os.environ.get("TAXOPS_AIRFLOW_URL", "").rstrip("/")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}

#!/bin/sh
# Migrations, pools and the first administrators; safe to repeat, run before everything else starts.
set -eu

airflow db migrate
# Asked for twice, and read from standard input where there is no terminal: never on a command line.
printf '%s\n%s\n' "$AIRFLOW_ADMIN_PASSWORD" "$AIRFLOW_ADMIN_PASSWORD" | airflow users create --role Admin \
    --username admin --email "$ADMIN_EMAIL" --firstname Airflow --lastname Administrator
pools=$(mktemp --suffix .json)
python - > "$pools" <<'PY'
import json, os, tomllib

with open(os.environ["AIRFLOW_DJANGO_CATALOGUE"], "rb") as catalogue:
    pools = tomllib.load(catalogue)["pools"]
print(json.dumps({name: {**pool, "include_deferred": False} for name, pool in pools.items()}))
PY
airflow pools import "$pools"

TAXOPS_USE_OWNER=1 python include/django_app/manage.py migrate --no-input
python include/django_app/manage.py shell --verbosity=0 -c '
import os
from django.contrib.auth import get_user_model

users = get_user_model().objects
if not users.filter(username="admin").exists():
    users.create_superuser("admin", os.environ["ADMIN_EMAIL"], os.environ["SITE_ADMIN_PASSWORD"])
'

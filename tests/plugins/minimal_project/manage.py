"""The smallest Django project: it knows nothing of ledgers, contracts or Airflow."""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "minimal.settings")
execute_from_command_line(sys.argv)

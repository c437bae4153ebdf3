# The application on Airflow's official image. For a build that never changes, pin the image's digest:
#   FROM apache/airflow:3.3.2-python3.12@sha256:…
FROM apache/airflow:3.3.2-python3.12

ARG APP=/opt/airflow
WORKDIR ${APP}

COPY --chown=airflow:0 requirements.txt ${APP}/requirements.txt
# Exactly the locked packages, checked by their hashes.
RUN pip install --no-cache-dir --require-hashes -r ${APP}/requirements.txt

COPY --chown=airflow:0 dags ${APP}/dags
COPY --chown=airflow:0 plugins ${APP}/plugins
COPY --chown=airflow:0 include ${APP}/include

ENV AIRFLOW_HOME=${APP} \
    AIRFLOW__CORE__DAGS_FOLDER=${APP}/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=${APP}/plugins \
    AIRFLOW_DJANGO_PROJECT=${APP}/include/django_app \
    AIRFLOW_DJANGO_CATALOGUE=${APP}/include/operations.toml \
    DJANGO_SETTINGS_MODULE=config.settings \
    TAXOPS_CATALOGUE=${APP}/include/operations.toml \
    TAXOPS_STATIC_ROOT=${APP}/static

# A volume takes over the folder it is mounted on, with its owner: missing, it would be root's.
RUN mkdir -p logs reports

# What collectstatic reads of the settings has nothing to do with the secrets of a running site.
RUN DJANGO_SETTINGS_MODULE=config.offline python include/django_app/manage.py collectstatic --no-input

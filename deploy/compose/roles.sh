#!/bin/sh
# Roles and databases; run by the postgres image when its data folder is made.
set -eu

# Passwords are read from the environment inside psql: a command line is everybody's to read, and a statement
# that fails would be logged with them.
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv airflow AIRFLOW_DB_PASSWORD
\getenv owner TAXOPS_OWNER_DB_PASSWORD
\getenv app TAXOPS_DB_PASSWORD
SET log_min_error_statement = panic;
CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE ROLE taxops_owner LOGIN PASSWORD :'owner';
CREATE ROLE taxops LOGIN PASSWORD :'app';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE taxops OWNER taxops_owner;
REVOKE CONNECT ON DATABASE airflow, taxops FROM PUBLIC;
GRANT CONNECT ON DATABASE airflow TO airflow;
GRANT CONNECT ON DATABASE taxops TO taxops, taxops_owner;
\connect taxops
-- What `migrate` makes as the owner, the application may use; migrations take back what it mustn't.
ALTER DEFAULT PRIVILEGES FOR ROLE taxops_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO taxops;
ALTER DEFAULT PRIVILEGES FOR ROLE taxops_owner GRANT USAGE, SELECT ON SEQUENCES TO taxops;
SQL

-- SPDX-License-Identifier: Apache-2.0
-- The role that pgweir asks for plans. Run it on the primary, as a superuser, once a cluster:
--
--   psql -v ON_ERROR_STOP=1 -f explain-role.sql
--
-- It may plan every statement and change nothing. Keep it off the primary with a line in pg_hba.conf there:
--
--   host all pgweir_explain all reject
--
-- and let it in on the replicas that are to be asked, with a password (\password pgweir_explain) or a certificate.
-- PostgreSQL 14 and later; before, grant SELECT, INSERT, UPDATE and DELETE on the tables instead of the two pg_… roles.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgweir_explain') THEN
        CREATE ROLE pgweir_explain;
    END IF;
END
$$;
ALTER ROLE pgweir_explain LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 20;
-- The rights of a statement are checked when it is planned: reading for SELECT, writing for INSERT, UPDATE and DELETE.
GRANT pg_read_all_data, pg_write_all_data TO pgweir_explain;
ALTER ROLE pgweir_explain SET default_transaction_read_only = on;
ALTER ROLE pgweir_explain SET statement_timeout = '1s';
ALTER ROLE pgweir_explain SET lock_timeout = '100ms';
ALTER ROLE pgweir_explain SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE pgweir_explain SET temp_file_limit = '64MB';
ALTER ROLE pgweir_explain SET log_statement = 'none';
ALTER ROLE pgweir_explain SET log_min_duration_statement = -1;

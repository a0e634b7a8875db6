-- SPDX-License-Identifier: Apache-2.0
-- The role that pgweir asks for plans. Run it on the primary, as a superuser, in each database that is to be priced:
--
--   psql -v ON_ERROR_STOP=1 -d shop -f explain-role.sql                                             # all schemas
--   PGOPTIONS='-c pgweir.schemas=public,app' psql -v ON_ERROR_STOP=1 -d shop -f explain-role.sql    # these only
--
-- It may be run again: after new schemas, and after roles that never owned a table have made their first one.
--
-- The role may plan statements on the tables of these schemas and change nothing. EXPLAIN checks the rights that running
-- the statement would need, so it needs SELECT, INSERT, UPDATE and DELETE; its transactions are READ ONLY. It is no member
-- of pg_read_all_data and pg_write_all_data, which would let it read every table of every database. Keep it off the primary
-- with a line in pg_hba.conf there:
--
--   host all pgweir_explain all reject
--
-- and let it in on the replicas that are to be asked, with a password (\password pgweir_explain) or a certificate.
-- Nobody else's functions and operators take part.
SET search_path = pg_catalog, pg_temp;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgweir_explain') THEN
        CREATE ROLE pgweir_explain;
    END IF;
END
$$;
ALTER ROLE pgweir_explain LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 20;
ALTER ROLE pgweir_explain SET default_transaction_read_only = on;
ALTER ROLE pgweir_explain SET statement_timeout = '1s';
ALTER ROLE pgweir_explain SET lock_timeout = '100ms';
ALTER ROLE pgweir_explain SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE pgweir_explain SET temp_file_limit = '64MB';
ALTER ROLE pgweir_explain SET log_statement = 'none';
ALTER ROLE pgweir_explain SET log_min_duration_statement = -1;
DO $$
DECLARE
    listed text[] := pg_catalog.string_to_array(nullif(pg_catalog.current_setting('pgweir.schemas', true), ''), ',');
    place record;
    owner record;
BEGIN
    -- What an earlier version of this file granted.
    FOR place IN
        SELECT r.rolname AS name FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
        WHERE m.member = 'pgweir_explain'::pg_catalog.regrole
    LOOP
        EXECUTE pg_catalog.format('REVOKE %I FROM pgweir_explain', place.name);
    END LOOP;
    FOR place IN
        SELECT n.oid, n.nspname AS name FROM pg_catalog.pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND (listed IS NULL OR n.nspname = ANY (listed))
    LOOP
        EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO pgweir_explain', place.name);
        EXECUTE pg_catalog.format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO pgweir_explain', place.name);
        -- Tables that come later, of those who own some already.
        FOR owner IN
            SELECT DISTINCT r.rolname AS name FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE c.relnamespace = place.oid
        LOOP
            EXECUTE pg_catalog.format(
                'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO pgweir_explain',
                owner.name, place.name);
        END LOOP;
    END LOOP;
END
$$;

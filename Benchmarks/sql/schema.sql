-- SPDX-License-Identifier: Apache-2.0
-- A small shop, for the ORM-like scripts beside this file. Roles tenant_00 .. tenant_15 may do anything.
CREATE TABLE customers (
    id bigserial PRIMARY KEY, email text NOT NULL, full_name text NOT NULL, country char(2), tier text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
INSERT INTO customers (email, full_name, country, tier)
SELECT 'user' || g || '@example.com', 'Name ' || g || ' O''Neil', chr(65 + g % 26) || chr(65 + g / 26 % 26),
       (ARRAY['free', 'premium', 'enterprise'])[1 + g % 3]
FROM generate_series(1, 20000) g;

CREATE TABLE orders (
    id bigserial PRIMARY KEY, customer_id bigint NOT NULL, status text, total numeric(12, 2), currency char(3),
    note text, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
INSERT INTO orders (customer_id, status, total, currency, note)
SELECT 1 + g % 20000, (ARRAY['new', 'paid', 'shipped', 'cancelled'])[1 + g % 4], g % 9999 / 7.0, 'EUR', 'order note ' || g
FROM generate_series(1, 100000) g;
CREATE INDEX ON orders (customer_id);

CREATE TABLE items (
    id bigserial PRIMARY KEY, order_id bigint NOT NULL, sku text, quantity int, price numeric(10, 2));
INSERT INTO items (order_id, sku, quantity, price)
SELECT 1 + g % 100000, 'SKU-' || g % 5000, 1 + g % 9, g % 999 / 3.0
FROM generate_series(1, 200000) g;
CREATE INDEX ON items (order_id);

CREATE TABLE sessions (session_key text PRIMARY KEY, session_data text, expire_date timestamptz);
INSERT INTO sessions
SELECT md5(g::text), repeat(md5(g::text), 8), now() + interval '1 day'
FROM generate_series(1, 20000) g;

CREATE TABLE shipments (
    id bigserial PRIMARY KEY, order_id bigint, carrier text, service text, tracking text, weight numeric, width int,
    height int, depth int, street text, city text, postcode text, country char(2), insured bool, fragile bool,
    comment text, ready_at timestamptz, payload jsonb);

DO $$ BEGIN
    FOR i IN 0..15 LOOP
        EXECUTE format('CREATE ROLE tenant_%s LOGIN SUPERUSER', lpad(i::text, 2, '0'));
    END LOOP;
END $$;
ANALYZE;

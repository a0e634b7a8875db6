-- SPDX-License-Identifier: Apache-2.0
\set key random(1, 30000)
INSERT INTO sessions (session_key, session_data, expire_date) VALUES (md5(:key::text), 'eyJfYXV0aF91c2VyX2lkIjoiNDIiLCJjYXJ0IjpbMSwyLDNdfQ.1rXyZa.Qm9vdHMgYW5kIGNhdHM', now() + interval '14 days') ON CONFLICT (session_key) DO UPDATE SET session_data = EXCLUDED.session_data, expire_date = EXCLUDED.expire_date;

-- SPDX-License-Identifier: Apache-2.0
\set key random(1, 20000)
SELECT "sessions"."session_key", "sessions"."session_data", "sessions"."expire_date" FROM "sessions" WHERE ("sessions"."expire_date" > '2024-05-01T10:20:30.123456+00:00'::timestamptz AND "sessions"."session_key" = md5(:key::text)) LIMIT 21;

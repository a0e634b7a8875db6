-- SPDX-License-Identifier: Apache-2.0
\set first random(1, 19000)
SELECT * FROM customers WHERE id BETWEEN :first AND :first + 60 ORDER BY id;

-- SPDX-License-Identifier: Apache-2.0
\set order random(1, 100000)
BEGIN;
UPDATE "orders" SET "status" = 'shipped', "total" = "orders"."total" + 1.50, "note" = 'handled by worker 17', "updated_at" = '2024-05-01 10:20:30.123456' WHERE "orders"."id" = :order;
SELECT c.id, c.email, count(o.id) AS n_orders, coalesce(sum(o.total), 0.0) AS revenue FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.status <> 'cancelled' WHERE c.id = (SELECT customer_id FROM orders WHERE id = :order) GROUP BY c.id, c.email HAVING count(o.id) >= 0;
COMMIT;

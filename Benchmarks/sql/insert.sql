-- SPDX-License-Identifier: Apache-2.0
\set order random(1, 100000)
\set weight random(100, 30000)
\set number random(1, 1000000000)
INSERT INTO shipments (order_id, carrier, service, tracking, weight, width, height, depth, street, city, postcode, country, insured, fragile, comment, ready_at, payload) VALUES (:order, 'parcel-one', 'express', 'PX-' || :number::text, :weight / 1000.0, 40, 30, 20, '12 O''Connell Street -- rear door', 'Zürich', '8001', 'CH', true, false, 'leave at /* back door */; ring twice', '2024-05-01 10:20:30.123456+00', '{"lines": [{"sku": "A-1", "qty": 2, "price": 19.99}, {"sku": "B-7", "qty": 1, "price": 129.00}], "gift": false}'::jsonb) RETURNING shipments.id;

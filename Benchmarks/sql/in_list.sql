-- SPDX-License-Identifier: Apache-2.0
\set a random(1, 99000)
\set b random(1, 99000)
\set c random(1, 99000)
\set d random(1, 99000)
select i1_0.order_id,i1_0.id,i1_0.price,i1_0.quantity,i1_0.sku from items i1_0 where i1_0.order_id in (:a,:b,:c,:d,:a+1,:b+1,:c+1,:d+1,:a+2,:b+2,:c+2,:d+2,:a+3,:b+3,:c+3,:d+3);

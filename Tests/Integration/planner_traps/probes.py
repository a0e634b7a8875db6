# SPDX-License-Identifier: Apache-2.0
"""Statements that one named check alone refuses, for each check.

Those over m.z_<form> meet the traps of that form, and trip them or show their name to the server; the others are harmless, and a name
that begins with z_ tells whether the server saw them.
"""

SETUP = """
create view m.z_size as select id, {digits} as a from m.t;
create view m.z_twice0 as select id from m.t; {doubled}
""".format(digits="1" * 3000 + ".5", doubled="; ".join(
    f"create view m.z_twice{i} as select a.id from m.z_twice{i - 1} a join m.z_twice{i - 1} b using (id) join m.z_twice{i - 1} c using (id)" for i in range(1, 9)))

PATH = "m, public"
# Statements, those that need another search_path together with it. `recheck` has none: definitions have to change beside it.
PROBES = {
    "syntax": ["insert into m.w as z_probe(id) values (1) on conflict (id int4_ops) do nothing", "delete from m.t z_probe where current of c"],
    "literals": ["insert into m.w as z_probe(id) values (1) on conflict (id) where id > 0 do nothing", "select array[z_probe.id]::int[3] from m.t z_probe"],
    "constants": ["select row() is null from m.t z_probe", "select * from current_date z_probe"],
    "types": ["select 'x'::cstring from m.t z_probe"],
    "fields": ["select z_probe.hash_record from m.t z_probe", "select (z_probe).hash_record from m.t z_probe"],
    "size": ["select a from m.z_size", "select * from m.z_twice8", "select count(*) from " + ", ".join(f"m.z_twice6 x{i}" for i in range(6))],
    "functions": ["select pg_ls_dir(z_probe.b) from m.t z_probe"],
    "operators": ["select true <#> z_probe.c from m.t z_probe"],
    "stored": ["table m.z_viewv", "select * from m.z_policyt", "insert into m.z_defaultt(id) values (1)", "select * from m.z_index_predicatet"],
    "casts": ["select (select y::int from m.z_row_castt y)", "select null::m.z_enum_caste + 1 from m.t x"],
    "support": ["select x.id from m.t x where exists (select from m.z_range_differencet y where y.r @> 5::float8)"],
    "foreign": ["select * from m.z_foreign_tablet", "table m.z_foreign_partitiont"],
    "path": [("select 1 limit case when (bool(true)) is null then 1 else 2 end", "z_shadow_types, m, public, pg_catalog")],
}

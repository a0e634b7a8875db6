# SPDX-License-Identifier: Apache-2.0
"""Statements that one named check alone refuses. They are harmless, so that a name beginning with z_ tells whether the server saw them."""

SETUP = """
create view m.z_size as select id, {digits} as a from m.t;
create view m.z_twice0 as select id from m.t; {doubled}
""".format(digits="1" * 3000 + ".5", doubled="; ".join(
    f"create view m.z_twice{i} as select a.id from m.z_twice{i - 1} a join m.z_twice{i - 1} b using (id) join m.z_twice{i - 1} c using (id)" for i in range(1, 9)))

PROBES = {
    "syntax": ["insert into m.w as z_probe(id) values (1) on conflict (id int4_ops) do nothing", "delete from m.t z_probe where current of c"],
    "literals": ["insert into m.w as z_probe(id) values (1) on conflict (id) where id > 0 do nothing", "select array[z_probe.id]::int[3] from m.t z_probe"],
    "constants": ["select row() is null from m.t z_probe", "select * from current_date z_probe"],
    "types": ["select 'x'::cstring from m.t z_probe"],
    "fields": ["select z_probe.hash_record from m.t z_probe", "select (z_probe).hash_record from m.t z_probe"],
    "size": ["select a from m.z_size", "select * from m.z_twice8", "select count(*) from " + ", ".join(f"m.z_twice6 x{i}" for i in range(6))],
    "functions": ["select pg_ls_dir(z_probe.b) from m.t z_probe"],
    "operators": ["select true <#> z_probe.c from m.t z_probe"],
}

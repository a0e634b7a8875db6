// SPDX-License-Identifier: Apache-2.0

/// The catalog query of ``Admission``: rows of kind, name, more.
///
/// `$1` is the path; `$2`…`$9` are pairs of schemas and names (an empty schema: along the path) of functions, operators,
/// types and relations; `$10` are field names; `$11` tells whether the transaction's locks count. Object ids below 16384
/// are those that initdb made.
enum AdmissionQuery {
    static let text = """
        WITH RECURSIVE
        path(oid, place) AS (
            SELECT n.oid, p.place FROM unnest($1::text[]) WITH ORDINALITY p(name, place)
            JOIN pg_namespace n ON n.nspname = p.name),
        reach(schema, oid, place) AS (
            SELECT '', oid, place FROM path UNION ALL SELECT nspname::text, oid, 0 FROM pg_namespace),
        function_names AS (SELECT * FROM unnest($2::text[], $3::text[]) u(schema, name)),
        operator_names AS (SELECT * FROM unnest($4::text[], $5::text[]) u(schema, name)),
        type_names AS (SELECT * FROM unnest($6::text[], $7::text[]) u(schema, name)),
        relation_names AS (SELECT * FROM unnest($8::text[], $9::text[]) u(schema, name)),
        named_types AS (
            SELECT n.schema, n.name, h.place, t.oid, t.typtype, t.typnamespace FROM type_names n CROSS JOIN LATERAL (
                SELECT oid, typtype, typnamespace FROM pg_type WHERE typname = n.name::name OFFSET 0) t
            JOIN reach h ON h.schema = n.schema AND h.oid = t.typnamespace),
        relations AS (
            SELECT DISTINCT ON (r.schema, r.name) r.schema, r.name, c.oid, c.relnamespace
            FROM relation_names r CROSS JOIN LATERAL (
                SELECT oid, relnamespace FROM pg_class WHERE relname = r.name::name OFFSET 0) c
            JOIN reach h ON h.schema = r.schema AND h.oid = c.relnamespace
            ORDER BY r.schema, r.name, h.place),
        -- Members of reviewed extensions; plain ones may stand in stored expressions, too.
        members AS (
            SELECT d.classid, d.objid, e.extname = ANY (\(list(ReviewedNames.plainExtensions))) AS is_plain
            FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
            WHERE d.deptype = 'e' AND e.extname = ANY (\(list(ReviewedNames.extensions)))),
        extension_functions AS (
            SELECT p.oid, m.is_plain FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
            -- The owner of a trusted extension may add functions of its own; those of the extension are a superuser's.
            WHERE p.prolang IN (12, 13) AND p.proowner IN (SELECT oid FROM pg_roles WHERE rolsuper) AND NOT p.proname = ANY (\(list(ReviewedNames.refusedOfExtensions)))
            UNION
            -- An aggregate is as good as the functions that it is made of.
            SELECT p.oid, m.is_plain FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
                JOIN pg_aggregate a ON a.aggfnoid = p.oid
            WHERE p.proowner IN (SELECT oid FROM pg_roles WHERE rolsuper) AND NOT EXISTS (
                SELECT FROM unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
                    a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) part
                WHERE part >= 16384 AND NOT EXISTS (
                    SELECT FROM members o JOIN pg_proc q ON o.classid = 'pg_proc'::regclass AND q.oid = o.objid
                    WHERE q.oid = part AND q.prolang IN (12, 13)))),

        -- What is reached: relations with those below them, behind their views and in their policies.
        used(oid) AS (
            SELECT oid FROM relations WHERE oid >= 16384
            UNION
            SELECT l.relation FROM pg_locks l
            WHERE $11::bool AND l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            UNION
            SELECT next.oid FROM used u CROSS JOIN LATERAL (
                SELECT inhrelid FROM pg_inherits WHERE inhparent = u.oid
                UNION ALL
                SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d
                    ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
                WHERE r.ev_class = u.oid
                UNION ALL
                SELECT d.refobjid FROM pg_policy p JOIN pg_depend d
                    ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
                WHERE p.polrelid = u.oid) next(oid)
            WHERE next.oid >= 16384),
        relation_trees(relation, tree) AS (
            SELECT r.ev_class, r.ev_action::text || coalesce(r.ev_qual::text, '')
                FROM pg_rewrite r WHERE r.ev_class = ANY (ARRAY(SELECT oid FROM used))
            UNION ALL SELECT d.adrelid, d.adbin::text FROM pg_attrdef d WHERE d.adrelid = ANY (ARRAY(SELECT oid FROM used))
            UNION ALL SELECT c.conrelid, c.conbin::text
                FROM pg_constraint c WHERE c.conrelid = ANY (ARRAY(SELECT oid FROM used)) AND c.conbin IS NOT NULL
            UNION ALL SELECT i.indrelid, coalesce(i.indexprs::text, '') || coalesce(i.indpred::text, '')
                FROM pg_index i WHERE i.indrelid = ANY (ARRAY(SELECT oid FROM used))
                AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
            UNION ALL SELECT p.polrelid, coalesce(p.polqual::text, '') || coalesce(p.polwithcheck::text, '')
                FROM pg_policy p WHERE p.polrelid = ANY (ARRAY(SELECT oid FROM used))
            UNION ALL SELECT s.stxrelid, to_jsonb(s) ->> 'stxexprs'
                FROM pg_statistic_ext s WHERE s.stxrelid = ANY (ARRAY(SELECT oid FROM used)) AND to_jsonb(s) ->> 'stxexprs' IS NOT NULL
            UNION ALL SELECT p.partrelid, p.partexprs::text
                FROM pg_partitioned_table p WHERE p.partrelid = ANY (ARRAY(SELECT oid FROM used)) AND p.partexprs IS NOT NULL),

        -- Types with all that they are made of; built-in ones are not looked into.
        types(oid) AS (
            (SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = ANY (ARRAY(SELECT oid FROM used))
                AND a.attnum > 0 AND a.atttypid >= 16384
            UNION SELECT c.reltype FROM pg_class c WHERE c.oid = ANY (ARRAY(SELECT oid FROM used)) AND c.reltype >= 16384
            UNION SELECT oid FROM named_types WHERE oid >= 16384
            UNION SELECT m[1]::oid FROM relation_trees
                CROSS JOIN LATERAL regexp_matches(tree, ':[a-z]*type(?:id)? (\\d{5,10})\\M', 'g') m
                WHERE m[1]::int8 >= 16384)
            UNION
            SELECT part.oid FROM types CROSS JOIN LATERAL (
                SELECT * FROM pg_type WHERE pg_type.oid = types.oid OFFSET 0) t CROSS JOIN LATERAL (
                SELECT t.typelem UNION ALL SELECT t.typbasetype
                UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
                UNION ALL SELECT (to_jsonb(r) ->> 'rngtypid')::oid FROM pg_range r
                    WHERE to_jsonb(r) ->> 'rngmultitypid' = t.oid::text
                UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0
                OFFSET 0) part(oid)
            WHERE part.oid >= 16384),
        trees(tree) AS (
            SELECT tree FROM relation_trees
            UNION ALL SELECT c.conbin::text FROM pg_constraint c WHERE c.contypid = ANY (ARRAY(SELECT oid FROM types))
                AND c.conbin IS NOT NULL
            UNION ALL SELECT t.typdefaultbin::text FROM pg_type t WHERE t.oid = ANY (ARRAY(SELECT oid FROM types))
                AND t.typdefaultbin IS NOT NULL),

        -- Functions that stored expressions run.
        in_trees(oid) AS (
            SELECT m[1]::oid FROM trees CROSS JOIN LATERAL regexp_matches(tree,
                ':(?:funcid|opfuncid|hashfuncid|negfuncid|aggfnoid|winfnoid|tsmhandler|elemfuncid|startInRangeFunc|endInRangeFunc) (\\d+)', 'g') m
            UNION
            SELECT o.oprcode::oid FROM trees CROSS JOIN LATERAL
                regexp_matches(tree, ':(?:opno|eqop|sortop) (\\d+)', 'g') m JOIN pg_operator o ON o.oid = m[1]::oid
            UNION
            SELECT o.oprcode::oid FROM trees CROSS JOIN LATERAL regexp_matches(tree, ':opnos \\(o ([0-9 ]+)\\)', 'g') m
                CROSS JOIN LATERAL unnest(string_to_array(m[1], ' ')) one JOIN pg_operator o ON o.oid = one::oid),
        bad_stored AS (
            SELECT p.oid FROM in_trees CROSS JOIN LATERAL (SELECT * FROM pg_proc WHERE pg_proc.oid = in_trees.oid OFFSET 0) p
            WHERE NOT (CASE WHEN p.oid < 16384
                THEN p.provolatile = 'v' OR p.proname = ANY (\(list(ReviewedNames.plain)))
                    OR p.proname = ANY (\(list(ReviewedNames.growingOfNumeric))) AND NOT 1700 = ANY (p.proargtypes::oid[])
                    OR NOT p.proname = ANY (\(list(ReviewedNames.growingOperators)))
                        AND (EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid AND o.oid < 16384)
                            OR EXISTS (SELECT FROM pg_cast c WHERE c.castfunc = p.oid AND c.oid < 16384)
                            OR p.pronamespace = 'information_schema'::regnamespace)
                ELSE EXISTS (SELECT FROM extension_functions e WHERE e.oid = p.oid AND e.is_plain) END)),

        -- Views may nest and multiply what they compute.
        view_factors(oid, factor) AS (
            SELECT r.ev_class, power(
                greatest(1, (SELECT max((length(part) - length(replace(part, '{VAR ', ''))) / 5)
                    FROM unnest(string_to_array(r.ev_action::text, '{TARGETENTRY ')) part)),
                least(8, 1 + (length(r.ev_action::text) - length(replace(r.ev_action::text, ':subquery {', ''))) / 11))
            FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE c.oid = ANY (ARRAY(SELECT oid FROM used)) AND c.relkind = 'v'),
        view_depths(oid, depth) AS (
            SELECT relations.oid, 1 FROM relations WHERE relations.oid >= 16384
            UNION
            SELECT d.refobjid, v.depth + 1 FROM view_depths v JOIN pg_rewrite r ON r.ev_class = v.oid JOIN pg_depend d
                ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
            WHERE d.refobjid <> v.oid AND d.refobjid >= 16384 AND v.depth < 13),
        multiple(factor) AS (
            SELECT coalesce(exp(sum(ln(factor))), 1) FROM (
                SELECT depth, max(f.factor) AS factor FROM view_depths JOIN view_factors f USING (oid) GROUP BY depth) l),

        -- Functions that types bring: casts, ranges, operator classes.
        casts(oid, source, target) AS (
            SELECT c.castfunc, c.castsource, c.casttarget FROM pg_cast c
            WHERE c.castfunc >= 16384
                AND (c.castsource < 16384 OR c.castsource IN (SELECT oid FROM types))
                AND (c.casttarget < 16384 OR c.casttarget IN (SELECT oid FROM types))),
        classes(oid) AS (
            SELECT c FROM pg_index i CROSS JOIN LATERAL unnest(i.indclass::oid[]) c
                WHERE i.indrelid = ANY (ARRAY(SELECT oid FROM used))
            UNION SELECT c FROM used JOIN pg_partitioned_table p ON p.partrelid = used.oid
                CROSS JOIN LATERAL unnest(p.partclass::oid[]) c
            UNION SELECT o.oid FROM types JOIN pg_opclass o ON o.opcintype = types.oid
            UNION SELECT r.rngsubopc FROM types JOIN pg_range r ON r.rngtypid = types.oid),
        support(oid) AS (
            SELECT r.rngsubdiff::oid FROM types JOIN pg_range r ON r.rngtypid = types.oid
            UNION SELECT r.rngcanonical::oid FROM types JOIN pg_range r ON r.rngtypid = types.oid
            UNION SELECT a.amproc::oid FROM classes JOIN pg_opclass o USING (oid)
                JOIN pg_amproc a ON a.amprocfamily = o.opcfamily WHERE o.oid >= 16384 OR o.opcfamily >= 16384
            UNION SELECT p.oprcode::oid FROM classes JOIN pg_opclass o USING (oid)
                JOIN pg_amop a ON a.amopfamily = o.opcfamily JOIN pg_operator p ON p.oid = a.amopopr
                WHERE o.oid >= 16384 OR o.opcfamily >= 16384
            UNION SELECT one FROM types CROSS JOIN LATERAL (
                SELECT * FROM pg_type WHERE pg_type.oid = types.oid AND typtype = 'b' OFFSET 0) t
                CROSS JOIN LATERAL unnest(ARRAY[t.typinput, t.typoutput, t.typmodin, t.typmodout, t.typanalyze,
                    (to_jsonb(t) ->> 'typsubscript')::regproc]::oid[]) one),

        all_functions AS (
            SELECT n.name, p.* FROM function_names n CROSS JOIN LATERAL (
                SELECT oid, pronamespace, pronargs, pronargdefaults, provariadic, proargtypes::oid[] AS arguments
                FROM pg_proc WHERE proname = n.name::name OFFSET 0) p
            JOIN reach h ON h.schema = n.schema AND h.oid = p.pronamespace),
        all_operators AS (
            SELECT n.name, o.oid, o.oprcode::oid AS code, ARRAY[o.oprleft, o.oprright] AS arguments
            FROM operator_names n CROSS JOIN LATERAL (
                SELECT * FROM pg_operator WHERE oprname = n.name::name OFFSET 0) o
            JOIN reach h ON h.schema = n.schema AND h.oid = o.oprnamespace),
        -- Types that nothing in the statement can have, nor turn into by itself.
        far_types(oid) AS (
            SELECT t.oid FROM (
                SELECT unnest(arguments) FROM all_functions WHERE oid >= 16384
                UNION SELECT unnest(arguments) FROM all_operators WHERE oid >= 16384) a(oid)
            CROSS JOIN LATERAL (SELECT * FROM pg_type WHERE pg_type.oid = a.oid OFFSET 0) t
            CROSS JOIN LATERAL (
                SELECT * FROM pg_type WHERE pg_type.oid = CASE t.typcategory WHEN 'A' THEN t.typelem ELSE t.oid END OFFSET 0) e
            WHERE e.oid >= 16384 AND e.typtype IN ('b', 'e') AND NOT e.typcategory IN ('A', 'S')
                AND t.oid NOT IN (SELECT oid FROM types) AND e.oid NOT IN (SELECT oid FROM types)
                AND NOT EXISTS (SELECT FROM pg_cast c WHERE c.casttarget IN (t.oid, e.oid) AND c.castcontext = 'i')),
        -- What takes such a type is not chosen for what the statement has; nor for a parameter without a type, which is
        -- text where something of that name takes text, or what the other operand is ("Operator Type Resolution").
        named_functions AS (
            SELECT name, oid FROM all_functions f
            WHERE oid < 16384 OR pronargs = 0 OR pronargdefaults > 0 OR provariadic <> 0
                OR EXISTS (SELECT FROM unnest(arguments) a WHERE a NOT IN (SELECT oid FROM far_types))
                OR NOT EXISTS (SELECT FROM all_functions b
                    WHERE b.name = f.name AND b.oid < 16384 AND b.pronargs = f.pronargs AND 25 = ALL (b.arguments))),
        named_operators AS (
            SELECT name, oid, code FROM all_operators o
            WHERE oid < 16384 OR NOT EXISTS (SELECT FROM unnest(arguments) a WHERE a IN (SELECT oid FROM far_types))
                OR EXISTS (SELECT FROM unnest(arguments || 25::oid) a WHERE a NOT IN (SELECT oid FROM far_types)
                    AND NOT EXISTS (SELECT FROM all_operators b
                        WHERE b.name = o.name AND b.oid < 16384 AND a = ALL (b.arguments)))),
        extension_schemas(oid) AS (
            SELECT p.pronamespace FROM named_functions n JOIN extension_functions e USING (oid) JOIN pg_proc p USING (oid)
            UNION SELECT t.typnamespace FROM types JOIN pg_type t USING (oid) JOIN members m
                ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
            UNION SELECT o.oprnamespace FROM named_operators n JOIN pg_operator o USING (oid) JOIN members m
                ON m.classid = 'pg_operator'::regclass AND m.objid = o.oid
                WHERE NOT EXISTS (SELECT FROM named_operators b WHERE b.name = n.name AND b.oid < 16384))
        SELECT 'functions' AS kind, 'function ' || n.oid::regprocedure AS name, '' AS more FROM named_functions n
            WHERE NOT (CASE WHEN n.oid < 16384 THEN n.name = ANY (\(list(ReviewedNames.plain.union(ReviewedNames.statementsOnly))))
                ELSE n.oid IN (SELECT oid FROM extension_functions) END)
        UNION ALL
        SELECT 'functions', 'function ' || n.name || ' is not known', '' FROM function_names n
            WHERE NOT EXISTS (SELECT FROM named_functions f WHERE f.name = n.name)
                AND NOT EXISTS (SELECT FROM pg_type t WHERE t.typnamespace = 11 AND t.typname = n.name AND t.typtype IN ('b', 'r', 'm'))
        UNION ALL
        SELECT 'types', 'type ' || t.oid::regtype || ' named as a function', '' FROM function_names n JOIN reach h USING (schema)
            JOIN pg_type t ON t.typnamespace = h.oid AND t.typname = n.name WHERE t.oid >= 16384
                AND NOT EXISTS (SELECT FROM named_functions f WHERE f.name = n.name)
        UNION ALL
        SELECT 'operators', 'operator ' || n.oid::regoperator, '' FROM named_operators n
            WHERE n.oid >= 16384 AND n.code NOT IN (SELECT oid FROM extension_functions) OR n.oid < 16384 AND n.code >= 16384
        UNION ALL
        SELECT 'types', 'type ' || t.oid::regtype, '' FROM named_types t
            WHERE t.typtype = 'p' AND t.oid < 16384 AND t.name NOT IN ('record', 'void')
        UNION ALL
        SELECT 'fields', 'function ' || p.oid::regprocedure || ' may be meant by a column', ''
            FROM unnest($10::text[]) f(name)
            CROSS JOIN LATERAL (SELECT * FROM pg_proc WHERE proname = f.name::name OFFSET 0) p
            WHERE p.pronamespace = 11 AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 AND p.prokind = 'f'
                AND p.provolatile <> 'v' AND NOT 2281 = ANY (p.proargtypes::oid[])
                AND NOT p.proname = ANY (\(list(ReviewedNames.plain.union(ReviewedNames.statementsOnly))))
                AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid)
        UNION ALL
        SELECT 'fields', 'function ' || p.oid::regprocedure || ' may be meant by a column', ''
            FROM unnest($10::text[]) f(name)
            CROSS JOIN LATERAL (SELECT * FROM pg_proc WHERE proname = f.name::name OFFSET 0) p
            JOIN extension_schemas s ON s.oid = p.pronamespace
            WHERE p.oid >= 16384 AND p.pronargs - p.pronargdefaults <= 1
                AND p.oid NOT IN (SELECT oid FROM extension_functions)
        UNION ALL
        -- Where no relation has such a column, x.f can only be f(x).
        SELECT 'fields', 'function ' || p.oid::regprocedure || ' may be meant by a column', ''
            FROM unnest($10::text[]) f(name)
            CROSS JOIN LATERAL (SELECT * FROM pg_proc WHERE proname = f.name::name OFFSET 0) p
            JOIN path h ON h.oid = p.pronamespace
            WHERE p.oid >= 16384 AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1
                AND p.oid NOT IN (SELECT oid FROM extension_functions)
                AND NOT EXISTS (SELECT FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid
                    WHERE a.attname = f.name::name AND a.attnum > 0 AND NOT a.attisdropped)
        UNION ALL
        SELECT 'stored', 'function ' || oid::regprocedure, '' FROM bad_stored
        UNION ALL
        SELECT 'stored', 'expressions that cannot be read', '' FROM trees WHERE tree IS NULL
        UNION ALL
        SELECT 'size', 'stored expressions of ' || sum(length(tree)) || ' bytes', '' FROM trees HAVING sum(length(tree)) > 1000000
        UNION ALL
        SELECT 'size', 'a numeric constant of many digits', '' FROM trees
            WHERE tree ~ ':consttype 1700 [^}]*:constvalue \\d+ \\[( -?\\d+){5} \\d'
        UNION ALL
        SELECT 'size', 'views that multiply what they compute', '' FROM multiple WHERE factor > 20000
        UNION ALL
        SELECT 'size', 'views that nest too deeply', '' FROM view_depths WHERE depth > 12
        UNION ALL
        SELECT 'size', 'much arithmetic of numeric in stored expressions', '' FROM multiple CROSS JOIN (
            SELECT count(*) AS times FROM trees CROSS JOIN LATERAL regexp_matches(tree, ':(?:funcid|opfuncid) (\\d+)', 'g') m
            CROSS JOIN LATERAL (SELECT proname FROM pg_proc WHERE oid = m[1]::oid OFFSET 0) p WHERE p.proname = ANY (\(list(ReviewedNames.numericArithmetic)))) n
            WHERE n.times > 4 AND n.times * multiple.factor > 4096
        UNION ALL
        SELECT 'casts', 'the cast of ' || source::regtype || ' to ' || target::regtype || ' by ' || oid::regprocedure, ''
            FROM casts WHERE oid NOT IN (SELECT oid FROM extension_functions)
        UNION ALL
        SELECT 'support', 'function ' || oid::regprocedure, '' FROM support
            WHERE oid >= 16384 AND oid NOT IN (SELECT oid FROM extension_functions)
        UNION ALL
        SELECT 'foreign', 'foreign table ' || c.oid::regclass, '' FROM pg_class c WHERE c.oid = ANY (ARRAY(SELECT oid FROM used)) AND c.relkind = 'f'
        UNION ALL
        SELECT 'relation', r.name, n.nspname FROM relations r JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.schema = ''
        UNION ALL
        (SELECT DISTINCT ON (t.name) 'type', t.name, n.nspname FROM named_types t
            JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.schema = '' ORDER BY t.name, t.place)
        UNION ALL
        SELECT 'extension', n.nspname, '' FROM extension_schemas s JOIN pg_namespace n USING (oid) WHERE s.oid <> 11
        UNION ALL
        SELECT 'definitions', '{' || array_to_string(reached.oids, ',') || '}', \(definitions(of: "reached.oids"))
            FROM (SELECT ARRAY(SELECT oid FROM used ORDER BY oid) AS oids) reached WHERE $11::bool
        """

    /// Fails by a division by zero unless the definitions of the relations `$1` are still `$2`.
    static let unchanged = "SELECT 1 / CASE WHEN \(definitions(of: "$1::oid[]")) = $2::text THEN 1 ELSE 0 END"

    /// A hash of what no lock that a reader can take keeps others from changing: indexes, statistics, children, casts.
    private static func definitions(of relations: String) -> String {
        """
        hashtextextended(concat_ws(' ',
            (SELECT string_agg(concat_ws(':', c.oid, c.xmin, c.relhasindex, c.relhassubclass), ',' ORDER BY c.oid)
                FROM pg_class c WHERE c.oid = ANY (\(relations))),
            (SELECT string_agg(concat_ws(':', i.indexrelid, i.xmin), ',' ORDER BY i.indexrelid)
                FROM pg_index i WHERE i.indrelid = ANY (\(relations))),
            (SELECT string_agg(concat_ws(':', h.inhrelid, h.xmin), ',' ORDER BY h.inhrelid)
                FROM pg_inherits h WHERE h.inhparent = ANY (\(relations))),
            (SELECT string_agg(concat_ws(':', s.oid, s.xmin), ',' ORDER BY s.oid)
                FROM pg_statistic_ext s WHERE s.stxrelid = ANY (\(relations))),
            (SELECT string_agg(concat_ws(':', c.oid, c.xmin), ',' ORDER BY c.oid) FROM pg_cast c WHERE c.oid >= 16384)), 0)::text
        """
    }

    /// An array constant of words, which hold no quotes.
    private static func list(_ words: Set<String>) -> String {
        "'{" + words.sorted().joined(separator: ",") + "}'::name[]"
    }
}

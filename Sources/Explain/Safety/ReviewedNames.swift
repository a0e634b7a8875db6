// SPDX-License-Identifier: Apache-2.0

/// Functions of pg_catalog (PostgreSQL 12 to 18) and extensions that statements may name when they are planned.
///
/// Reviewed one by one: none runs text that it is given, reads or writes files, or connects anywhere. Those that do
/// something when they run (`nextval`, `pg_notify`, `pg_advisory_lock`) are volatile, and the planner never runs volatile
/// functions. What is not listed is refused, whatever it does.
enum ReviewedNames {
    /// In statements, and in what views, policies, defaults, indexes and constraints store: their results are about as
    /// large as their arguments, in about as much time.
    static let plain = words(
        """
        abs acos acosd acosh age any_value area array_agg array_append array_cat array_dims array_length array_lower
        array_ndims array_position array_positions array_prepend array_remove array_replace array_reverse array_sample
        array_shuffle array_sort array_to_json array_to_string array_to_tsvector array_upper ascii asin asind asinh atan
        atan2 atan2d atand atanh avg bit bit_and bit_count bit_length bit_or bit_xor bool bool_and bool_or bound_box box
        bpchar broadcast btrim cardinality casefold cbrt ceil ceiling center char char_length character_length chr cidr
        circle clock_timestamp concat concat_ws convert convert_from convert_to corr cos cosd cosh cot cotd count
        covar_pop covar_samp crc32 crc32c cume_dist current_database current_schema current_schemas current_setting
        currval date date_add date_bin date_part date_subtract date_trunc datemultirange daterange decode degrees
        dense_rank diagonal diameter div dround dtrunc encode enum_first enum_last enum_range erf erfc every extract
        family first_value float4 float8 floor format_type gcd gen_random_uuid generate_series generate_subscripts get_bit get_byte
        height host hostmask inet_client_addr inet_client_port inet_merge inet_same_family inet_server_addr
        inet_server_port initcap int2 int4 int4multirange int4range int8 int8multirange int8range interval is_normalized
        isclosed isempty isfinite ishorizontal isopen isparallel isperp isvertical json_agg json_agg_strict
        json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each
        json_each_text json_extract_path json_extract_path_text json_object json_object_agg json_object_agg_strict
        json_object_agg_unique json_object_agg_unique_strict json_object_field json_object_field_text json_object_keys
        json_populate_record json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_to_tsvector
        json_typeof jsonb jsonb_agg jsonb_agg_strict jsonb_array_elements jsonb_array_elements_text jsonb_array_length
        jsonb_build_array jsonb_build_object jsonb_concat jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all
        jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
        jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict jsonb_object_field
        jsonb_object_field_text jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match
        jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
        jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid
        jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
        jsonb_to_recordset jsonb_to_tsvector jsonb_typeof json justify_days justify_hours justify_interval lag last_value
        lastval lcm lead left length like like_escape line lower lower_inc lower_inf lseg ltrim macaddr macaddr8
        macaddr8_set7bit make_date make_interval make_time make_timestamp make_timestamptz masklen max md5 merge_action
        min min_scale mod mode money multirange name netmask network nextval normalize notlike now npoints nth_value
        ntile num_nonnulls num_nulls numeric nummultirange numnode numrange octet_length oid overlaps overlay parse_ident
        path pclose percent_rank percentile_cont percentile_disc phraseto_tsquery pi plainto_tsquery point polygon popen
        position pg_backend_pid pg_collation_for pg_column_size pg_is_in_recovery
        pg_postmaster_start_time pg_typeof querytree quote_ident quote_literal quote_nullable radians radius random
        random_normal range_agg range_intersect_agg range_merge rank regclass regexp_count regexp_instr regexp_like
        regexp_match regexp_matches regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy
        regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reverse right round row_number
        row_to_json rtrim scale set_bit set_byte set_masklen setval setweight sign similar_escape similar_to_escape sin
        sind sinh slope split_part starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg
        string_to_array string_to_table strip strpos substr substring sum tan tand tanh text time timeofday timestamp
        timestamptz timetz timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb to_number to_oct to_regclass
        to_regcollation to_regnamespace to_regproc to_regprocedure to_regrole to_regtype to_timestamp to_tsquery
        to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_delete ts_filter ts_rank ts_rank_cd
        tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array unistr unnest upper
        upper_inc upper_inf uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 var_pop var_samp varbit varchar
        variance version websearch_to_tsquery width width_bucket xid xid8 xml xml_is_well_formed xml_is_well_formed_content
        xml_is_well_formed_document xmlagg xmlcomment xmlexists xmltext
        hash_numeric hash_numeric_extended
        hashbpchar hashbpcharextended hashchar hashenum hashfloat4 hashfloat8 hashinet hashint2
        hashint4 hashint4extended hashint8 hashint8extended hashname hashoid hashtext hashtextextended interval_hash
        jsonb_hash jsonb_hash_extended time_hash timestamp_hash timetz_hash uuid_hash uuid_hash_extended
        has_foreign_data_wrapper_privilege has_language_privilege has_parameter_privilege has_server_privilege
        has_tablespace_privilege has_type_privilege pg_client_encoding pg_trigger_depth row_security_active setseed textlen
        has_any_column_privilege has_column_privilege has_database_privilege has_function_privilege
        has_schema_privilege has_sequence_privilege has_table_privilege pg_has_role
        """
    )

    /// In statements only, where their arguments are parameters or columns: of constants they could make large values,
    /// or take long without looking for a cancellation; and functions that read the catalog.
    static let statementsOnly = words(
        """
        array_fill bernoulli dcbrt dexp dlog1 dlog10 dpow dsqrt exp factorial format gamma lgamma ln log
        log10 lpad pow power regexp_replace repeat replace rpad set_config sha224 sha256 sha384 sha512 sqrt system
        ts_headline xpath xpath_exists pg_sleep pg_sleep_for pg_sleep_until pg_notify
        pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
        pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
        pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
        pg_size_bytes pg_size_pretty pg_relation_size pg_total_relation_size pg_table_size
        pg_indexes_size pg_database_size pg_tablespace_size pg_get_constraintdef pg_get_expr pg_get_functiondef
        pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_get_indexdef
        pg_get_partition_constraintdef pg_get_partkeydef pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
        pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_get_keywords pg_encoding_to_char pg_char_to_encoding
        pg_table_is_visible pg_type_is_visible pg_function_is_visible pg_operator_is_visible pg_opclass_is_visible
        pg_collation_is_visible pg_conversion_is_visible pg_statistics_obj_is_visible pg_ts_config_is_visible
        pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible pg_describe_object
        pg_identify_object pg_index_column_has_property pg_index_has_property pg_indexam_has_property
        pg_relation_is_publishable pg_partition_root pg_partition_ancestors pg_partition_tree pg_filenode_relation
        pg_relation_filenode pg_relation_filepath pg_my_temp_schema pg_is_other_temp_schema pg_options_to_table
        pg_sequence_last_value pg_sequence_parameters pg_stat_get_numscans pg_stat_get_live_tuples
        pg_stat_get_dead_tuples pg_tablespace_location pg_tablespace_databases pg_timezone_abbrevs
        pg_lock_status pg_blocking_pids pg_stat_get_activity pg_safe_snapshot_blocking_pids
        pg_wal_lsn_diff pg_current_wal_lsn pg_last_wal_receive_lsn pg_last_wal_replay_lsn
        pg_last_xact_replay_timestamp pg_xact_commit_timestamp pg_snapshot_xmin pg_snapshot_xmax pg_current_snapshot
        pg_conf_load_time pg_jit_available pg_export_snapshot txid_current_snapshot txid_snapshot_xmin
        txid_snapshot_xmax txid_visible_in_snapshot txid_status mxid_age
        pg_column_is_updatable pg_relation_is_updatable pg_get_function_arg_default pg_get_object_address
        pg_get_statisticsobjdef_columns pg_opfamily_is_visible pg_identify_object_as_address
        acldefault aclexplode makeaclitem col_description obj_description shobj_description oidvectortypes
        getdatabaseencoding get_current_ts_config
        """
    )

    /// Operators' functions that make large values of constants: what stored expressions must not use.
    static let growingOperators = words("numeric_power numeric_exp numeric_ln numeric_log numeric_fac factorial")

    /// Functions that make large values of numeric only, not of double precision.
    static let growingOfNumeric = words("exp ln log log10 power pow sqrt")

    /// Arithmetic of numeric whose time grows with the digits: counted in stored expressions.
    static let numericArithmetic = words("numeric_mul numeric_div numeric_div_trunc numeric_mod numeric_sqrt")

    /// Extensions whose C functions may be named.
    static let extensions = words(
        """
        bloom btree_gin btree_gist citext cube dict_int dict_xsyn earthdistance fuzzystrmatch hstore intarray isn lo ltree
        pg_stat_statements pg_trgm pgcrypto postgis postgis_raster postgis_topology seg tablefunc tsm_system_rows
        tsm_system_time unaccent uuid-ossp vector
        """
    )

    /// Those of them that stored expressions may use: none computes for long.
    static let plainExtensions = words(
        """
        btree_gin btree_gist citext cube fuzzystrmatch hstore intarray isn ltree pg_trgm seg unaccent uuid-ossp vector
        """
    )

    /// Functions of these extensions that run text they are given.
    static let refusedOfExtensions = words(
        "crosstab crosstab2 crosstab3 crosstab4 crosstabn connectby xpath_table lo_manage pg_stat_statements_reset"
    )

    private static func words(_ text: String) -> Set<String> {
        Set(text.split { $0 == " " || $0 == "\n" }.map(String.init))
    }
}

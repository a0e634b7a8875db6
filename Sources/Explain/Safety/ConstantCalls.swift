// SPDX-License-Identifier: Apache-2.0

/// Functions without arguments: their value is a constant to the planner, unless they are volatile.
enum ConstantCalls {
    /// The type of a value function by its name in the grammar's tree (`primnodes.h`, SQLValueFunctionOp).
    static func type(operation: String) -> String? {
        switch operation {
        case "SVFOP_CURRENT_DATE": "date"
        case "SVFOP_CURRENT_TIME", "SVFOP_CURRENT_TIME_N": "timetz"
        case "SVFOP_CURRENT_TIMESTAMP", "SVFOP_CURRENT_TIMESTAMP_N": "timestamptz"
        case "SVFOP_LOCALTIME", "SVFOP_LOCALTIME_N": "time"
        case "SVFOP_LOCALTIMESTAMP", "SVFOP_LOCALTIMESTAMP_N": "timestamp"
        case "SVFOP_CURRENT_ROLE", "SVFOP_CURRENT_USER", "SVFOP_USER", "SVFOP_SESSION_USER", "SVFOP_CURRENT_CATALOG",
            "SVFOP_CURRENT_SCHEMA":
            "name"
        default: nil
        }
    }

    /// The type of a stable or immutable function of pg_catalog.
    static func type(of name: String) -> String? { types[name] }

    /// The transaction's time.
    static func isTime(_ name: String) -> Bool { times.contains(name) }

    /// Volatile functions, aggregates and window functions: the planner never evaluates them.
    static func isNeverConstant(_ name: String) -> Bool { neverConstant.contains(name) }

    private static let times: Set<String> = ["now", "transaction_timestamp", "statement_timestamp"]
    private static let types = [
        "now": "timestamptz", "transaction_timestamp": "timestamptz", "statement_timestamp": "timestamptz",
        "current_database": "name", "current_schema": "name", "version": "text", "pi": "float8",
        "pg_backend_pid": "int4", "pg_postmaster_start_time": "timestamptz", "pg_is_in_recovery": "bool",
        "inet_client_addr": "inet", "inet_server_addr": "inet", "inet_client_port": "int4", "inet_server_port": "int4",
    ]
    private static let neverConstant: Set<String> = [
        "random", "clock_timestamp", "timeofday", "gen_random_uuid", "uuid_generate_v1", "uuid_generate_v1mc",
        "uuid_generate_v4", "uuidv4", "uuidv7", "lastval", "row_number", "rank",
        "dense_rank", "percent_rank", "cume_dist", "count",
    ]
}

// SPDX-License-Identifier: Apache-2.0

extension OptionKey {
    /// All rows, in the order of the example and of `pgweir config print`.
    public static let all: [OptionKey] =
        capture + proxy + attribution + verify + state + pricing + quota + enforcement + web + history + others

    private static let capture: [OptionKey] = [
        OptionKey(
            "mode",
            ["--mode"],
            .choice(["mirror", "proxy"]),
            "mirror",
            help: "Where traffic is watched: on interfaces, or in a relay that clients connect to."
        ),
        OptionKey(
            "capture.interfaces",
            ["--interface", "-i"],
            .list(.text),
            "",
            help: "Interfaces to tap: names, any, or nflog:N."
        ),
        OptionKey("capture.ports", ["--port", "-p"], .list(.integer(1...65_535)), "5432", help: "Server ports."),
        OptionKey(
            "capture.servers",
            ["--server"],
            .list(.server),
            "all on the ports",
            help:
                "Servers whose sessions count, as address or address:port; those of others are counted apart, and nobody pays."
        ),
        OptionKey("capture.filter", ["-f"], .text, "", help: "Packets to look at, as in pcap-filter(7)."),
        OptionKey(
            "capture.tunnels",
            ["--tunnel"],
            .list(.choice(["vxlan", "geneve", "gre", "ipip"])),
            "",
            help: "Encapsulations to look into."
        ),
        OptionKey(
            "capture.tunnel_senders",
            ["--tunnel-from"],
            .list(.network),
            "",
            help: "Who sends them, as address or address/bits: those of others are ignored."
        ),
        OptionKey(
            "capture.buffer",
            ["--buffer"],
            .mebibytes(1...2047),
            "64",
            help: "The kernel's ring of each tap, in MiB."
        ),
        OptionKey(
            "capture.snaplen",
            ["--snaplen"],
            .integer(96...262_144),
            "262144",
            help: "The most bytes kept of a packet."
        ),
        OptionKey(
            "capture.workers",
            ["--workers"],
            .integer(1...256),
            "1",
            help: "Threads that share the connections."
        ),
        OptionKey(
            "capture.connections",
            ["--connections"],
            .integer(1024...4_194_304),
            "",
            help: "Connections followed at once by each worker; unset: what a tenth of the memory has room for."
        ),
        OptionKey(
            "capture.memory",
            ["--memory"],
            .mebibytes(128...1_048_576),
            "",
            help: "Memory to get along with, in MiB; unset: 3/4 of the control group's limit, else 768."
        ),
        OptionKey(
            "capture.idle_timeout",
            ["--idle-timeout"],
            .integer(1...31_536_000),
            "86400",
            help: "Forget connections that were silent for so many seconds; in mirror mode."
        ),
        OptionKey(
            "capture.empty_timeout",
            ["--empty-timeout"],
            .integer(1...31_536_000),
            "60",
            help: "The same of those that never carried a session, such as a scan's."
        ),
        OptionKey("capture.user", ["--user"], .text, "", help: "Become this user once the taps are open."),
        OptionKey(
            "capture.allow_second",
            ["--allow-second"],
            .toggle,
            "false",
            help: "Run even if another process meters the same packets."
        ),
    ]

    private static let proxy: [OptionKey] = [
        OptionKey("proxy.relay", ["--relay"], .path, "", help: "The relay's control socket."),
        OptionKey("proxy.listen", ["--listen"], .list(.text), "", help: "Start a relay that listens here."),
        OptionKey("proxy.upstream", ["--upstream"], .list(.text), "", help: "And connects to this server."),
        OptionKey(
            "proxy.max_connections",
            ["--max-connections"],
            .integer(1...10_000_000),
            "",
            help: "Connections at once."
        ),
        OptionKey("proxy.ring", ["--ring"], .mebibytes(1...4096), "", help: "The ring of each event loop, in MiB."),
        OptionKey(
            "proxy.health",
            ["--health"],
            .text,
            "",
            help: "Where HTTP answers /-/healthy and /-/ready of the relay."
        ),
        OptionKey(
            "proxy.drain_timeout",
            ["--drain-timeout"],
            .seconds(1...86_400),
            "",
            help: "How long sessions may go on at the end."
        ),
        OptionKey("proxy.tls_cert", ["--tls-cert"], .path, "", help: "End clients' TLS with this certificate (PEM)."),
        OptionKey("proxy.tls_key", ["--tls-key"], .path, "", help: "Its key (PEM)."),
        OptionKey(
            "proxy.upstream_ca",
            ["--upstream-ca"],
            .path,
            "",
            help: "Verify the server's certificate by these (PEM)."
        ),
        OptionKey("proxy.tls_required", ["--tls-required"], .toggle, "false", help: "Refuse clients without TLS."),
        OptionKey("proxy.upstream_tls", ["--upstream-tls"], .toggle, "false", help: "Speak TLS to the server."),
        OptionKey(
            "proxy.proxy_protocol",
            ["--proxy-protocol"],
            .toggle,
            "false",
            help: "Tell the server the client's address (PROXY protocol, version 2)."
        ),
        OptionKey(
            "proxy.original_destination",
            ["--original-destination"],
            .toggle,
            "false",
            help: "Send connections that REDIRECT brought on to where they were going."
        ),
    ]

    private static let attribution: [OptionKey] = [
        OptionKey(
            "attribution.servers",
            ["--activity"],
            .list(.connection),
            "",
            help: "Servers whose pg_stat_activity tells whose sessions are that began before."
        ),
        OptionKey(
            "attribution.poolers",
            ["--pooler"],
            .list(.connection),
            "",
            help: "PgBouncers whose SHOW CLIENTS tells the same."
        ),
        OptionKey(
            "attribution.pooler_addresses",
            ["--pooler-at"],
            .list(.place),
            "",
            help: "Where poolers listen, as address:port: their connections to servers are passed over."
        ),
    ]

    private static let verify: [OptionKey] = [
        OptionKey(
            "verify.interval",
            ["--verify-interval"],
            .seconds(0...86_400),
            "60s",
            help: "How often what attribution.servers count is compared with what is seen; 0s: never."
        )
    ]

    private static let state: [OptionKey] = [
        OptionKey(
            "state.cluster",
            ["--cluster"],
            .text,
            "main",
            help: "The cluster's name, under which prices are kept."
        ),
        OptionKey(
            "state.folder",
            ["--state"],
            .path,
            "$STATE_DIRECTORY, or /var/lib/pgweir",
            help: "Where prices, the ledger and the history are kept, or none."
        ),
        OptionKey("state.redis", ["--redis"], .connection, "", help: "A Redis that nodes share, as a URL."),
    ]

    private static let pricing: [OptionKey] = [
        OptionKey(
            "pricing.explain",
            ["--explain"],
            .connection,
            "",
            help: "A read replica whose planner prices statements."
        ),
        OptionKey("pricing.explain_primary", ["--explain-primary"], .toggle, "false", help: "It may be a primary."),
        OptionKey(
            "pricing.explain_as_tenant",
            ["--explain-as-tenant"],
            .toggle,
            "false",
            help: "Log in there as the role that ran the statement."
        ),
        OptionKey(
            "pricing.ttl",
            ["--price-ttl"],
            .seconds(1...86_400),
            "10m",
            help: "How long a worker holds a price before it looks for a newer one."
        ),
    ]

    private static let quota: [OptionKey] = [
        OptionKey("quota.enabled", ["--no-quotas"], .inverse, "true", help: "Whether quotas are kept at all."),
        OptionKey(
            "quota.lease",
            ["--lease"],
            .seconds(15...600),
            "60s",
            help: "How long limits outlive a daemon that died."
        ),
        OptionKey(
            "quota.claims",
            ["--no-claims"],
            .inverse,
            "true",
            help: "With Redis: nodes that see the same client and server agree on one that books it."
        ),
        OptionKey("quota.node", ["--node"], .text, "made once", help: "This node's name in the ledger."),
    ]

    private static let enforcement: [OptionKey] = [
        OptionKey(
            "enforcement.pgbouncer",
            ["--pgbouncer"],
            .list(.connection),
            "",
            help: "Consoles of PgBouncers whose users are limited."
        ),
        OptionKey(
            "enforcement.limits",
            ["--limits"],
            .path,
            "",
            help: "The file that pgbouncer.ini includes in its last line."
        ),
        OptionKey(
            "enforcement.limits_globals",
            ["--limits-globals"],
            .path,
            "",
            help: "A file that its section [pgbouncer] includes in its last line."
        ),
        OptionKey(
            "enforcement.pgbouncer_ini",
            ["--pgbouncer-ini"],
            .path,
            "",
            help: "pgbouncer.ini, whose settings are kept."
        ),
        OptionKey(
            "enforcement.pgbouncer_pid",
            ["--pgbouncer-pid"],
            .list(.path),
            "",
            help: "PgBouncer's pidfiles, in the order of its consoles."
        ),
        OptionKey(
            "enforcement.no_drain",
            ["--no-drain"],
            .toggle,
            "false",
            help: "Let old connections go by themselves."
        ),
        OptionKey("enforcement.protect", ["--protect"], .list(.text), "", help: "Users who are never limited."),
        OptionKey(
            "enforcement.role_limit",
            ["--role-limit"],
            .connection,
            "",
            help: "A server whose roles are limited by ALTER ROLE … CONNECTION LIMIT."
        ),
        OptionKey("enforcement.trim", ["--trim"], .toggle, "false", help: "End idle sessions of limited roles there."),
        OptionKey(
            "enforcement.dry_run",
            ["--dry-run"],
            .toggle,
            "false",
            help: "Set no limit, and say what would be done."
        ),
    ]

    private static let web: [OptionKey] = [
        OptionKey(
            "web.listen",
            ["--web.listen-address"],
            .text,
            "127.0.0.1:9932",
            help: "Where the page, /metrics and /api/v1 are served, or none."
        ),
        OptionKey(
            "web.config_file",
            ["--web.config.file"],
            .path,
            "",
            help: "TLS and passwords for it: a file as the Prometheus exporters take it."
        ),
    ]

    private static let history: [OptionKey] = [
        OptionKey("history.enabled", ["--no-history"], .inverse, "true", help: "Whether minutes are kept for reports."),
        OptionKey(
            "history.retention",
            ["--history-retention"],
            .seconds(3600...63_072_000),
            "30d",
            help: "How long minutes are kept."
        ),
        OptionKey(
            "history.max_size",
            ["--history-max-size"],
            .mebibytes(8...1_048_576),
            "1024",
            help: "How large the history may grow, in MiB; the oldest goes first."
        ),
    ]

    private static let others: [OptionKey] = [
        OptionKey("control.socket", ["--socket"], .path, "/run/pgweir/pgweir.sock", help: "The local socket, or none."),
        OptionKey("report.file", ["--report"], .path, "", help: "Write the report there, again and again."),
        OptionKey("report.every", ["--every"], .seconds(1...86_400), "10s", help: "How often."),
        OptionKey(
            "log.level",
            ["--log.level"],
            .choice(["debug", "info", "warning", "error"]),
            "info",
            help: "What is logged."
        ),
        OptionKey(
            "log.format",
            ["--log.format"],
            .choice(["text", "logfmt", "json"]),
            "text on a terminal, else logfmt",
            help: "The form of log lines."
        ),
        OptionKey(
            "privacy.user_names",
            ["--user-names"],
            .choice(["hashed", "page", "plain"]),
            "hashed",
            help: "Where users appear by name: nowhere, on the page and in its API, or in logs and metrics too."
        ),
        OptionKey(
            "privacy.query_text",
            ["--query-text"],
            .choice(["normalized", "none"]),
            "normalized",
            help: "Whether the page and the history have the text of patterns, which holds no literal."
        ),
    ]
}

// SPDX-License-Identifier: Apache-2.0

/// Where PgBouncer is, and how its users may be limited.
public struct PgBouncerOptions {
    /// One PgBouncer process.
    ///
    /// Those that share a port by `so_reuseport` each need a `unix_socket_dir` of their own.
    public struct Instance: Sendable {
        /// How to reach its console: a connection string of libpq, such as `host=/run/pgbouncer dbname=pgbouncer`.
        public var console: String
        /// Its `pidfile`: to load by SIGHUP where the console's user may not RELOAD.
        public var pidFile: String?

        /// An instance.
        public init(console: String, pidFile: String? = nil) { (self.console, self.pidFile) = (console, pidFile) }
    }

    /// What is done about connections that a new limit finds there.
    public enum Drain: String, Sendable, CaseIterable {
        /// Nothing: they stay until they are `server_lifetime` old, or idle for long.
        case off
        /// `server_lifetime` is 5 s for a few seconds: all connections are replaced bit by bit, none while in use.
        case lifetime
    }

    /// All processes that serve the same users: a limit is divided among them.
    public var instances: [Instance]
    /// The file of limits, which `%include` names in the last line of each instance's configuration.
    public var limitsFile: String
    /// A file that `%include` names in the last line of `[pgbouncer]`; without it draining needs an admin's rights.
    public var globalsFile: String?
    /// The operator's configuration, to keep what it says about users; `nil`: the one that each PgBouncer names.
    ///
    /// Nobody new is limited while it cannot be read.
    public var operatorFile: String?
    /// Tells why nobody would lift limits if this process died; `nil` from it: somebody would.
    ///
    /// While it tells a reason no limit is set, and after ``guardPatience`` those that are set are lifted.
    public var guardAbsence: (() -> String?)?
    /// How long limits stay while no guard is there, in seconds: it may be restarted.
    public var guardPatience = 60.0
    /// The smallest limit that is ever written, for one instance; at least 1.
    public var floor = 1
    /// How old connections are let go.
    public var drain = Drain.lifetime
    /// The most names that one load may bring anew: PgBouncer stalls for seconds over tens of thousands.
    public var batch = 500
    /// Users who are never limited, besides those that PgBouncer itself depends on.
    public var protected: Set<String> = []

    /// Options with the usual values.
    public init(
        instances: [Instance],
        limitsFile: String,
        globalsFile: String? = nil,
        operatorFile: String? = nil
    ) {
        (self.instances, self.limitsFile) = (instances, limitsFile)
        (self.globalsFile, self.operatorFile) = (globalsFile, operatorFile)
    }
}

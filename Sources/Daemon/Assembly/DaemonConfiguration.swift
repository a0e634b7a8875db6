// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
public import Pipeline
import Reports

/// All that the daemon is made of: `pgweir run` makes it from its options, ``DaemonAssembly`` makes services from it.
public struct DaemonConfiguration: Sendable {
    /// What is looked at, and how.
    public var tap: LiveTapOptions
    /// Threads that look at packets.
    public var workers = 1
    /// The relay whose copies are read instead of packets; `nil`: interfaces are tapped.
    public var proxy: ProxyConfiguration?
    /// Run even if another process meters the same packets.
    public var allowsSecond = false
    /// Stop after so many seconds.
    public var duration: Int?
    /// The user to become once the taps are open.
    public var user: String?
    /// Servers and poolers that tell whose sessions are that began before the tap, as connection strings.
    public var activity: [String] = [], poolers: [String] = []
    /// Whether poolers were named whose connections to servers are passed over.
    public var namesPoolers = false
    /// How often what servers count is compared with what is seen, in seconds; 0: never.
    public var verifyInterval = 60.0
    /// How statements are priced, and where prices and the rest of the state are kept.
    public var prices = ExplainConfiguration()
    /// Whether and where quotas are kept, and what sets limits.
    public var quotas = QuotaConfiguration()
    /// Pages, history, log, and what may be shown.
    public var operation = OperationConfiguration()
    /// The daemon's local socket.
    public var socket: SocketPlace
    /// The file of tiers, users and prices; `nil`: that of $PGWEIR_CONFIG.
    public var policyFile: String?
    /// What is written to standard output.
    public var output: Output
    /// A file that the report is written to, too, again and again.
    public var reportFile: ReportFile?

    /// What is written to standard output.
    public enum Output: Sendable {
        /// A report at the end.
        case report(ReportForm)
        /// A line for every statement at once.
        case lines
    }

    /// A report that is written again and again, so that a crash loses one interval at most.
    public struct ReportFile: Sendable {
        /// Where it is written.
        public var path: String
        /// Between two times, in seconds.
        public var every: Double

        /// A report that is written to `path` every so many seconds.
        public init(path: String, every: Double) { (self.path, self.every) = (path, every) }
    }

    /// The defaults for a tap.
    public init(_ tap: LiveTapOptions, socket: SocketPlace, output: Output) {
        (self.tap, self.socket, self.output) = (tap, socket, output)
    }

    /// What to tap, with what else follows from the configuration and from the policy.
    func tapOptions(_ settings: PolicySettings) -> LiveTapOptions {
        var options = tap
        if proxy != nil {
            // A relay tells when a connection is over: silence means nothing.
            (options.limits.idle, options.limits.blankIdle) = (.max / 2, .max / 2)
        }
        (options.prices, options.hash) = (settings.prices, settings.hash)
        options.resolvesSessions = !activity.isEmpty || !poolers.isEmpty
        // 'pgweir verify' may come with a server of its own.
        options.tellsServers = proxy == nil
        options.tellsApplications = reportForm?.by == .application
        options.pricing = prices.scheme
        options.isMetered = !quotas.noQuotas
        // A relay's copies are nobody else's: a client may come through several relays, each booked by its own daemon.
        options.isDivided = proxy == nil && prices.keeping.redis != nil && !quotas.noClaims
        options.keepsActivity = !operation.noHistory
        return options
    }

    /// Whether servers are proven by those that are asked; a relay connects to them itself.
    var learnsServers: Bool { proxy == nil && tap.servers.isEmpty && !(activity.isEmpty && poolers.isEmpty) }

    /// How reports look; `nil`: there are none.
    var reportForm: ReportForm? {
        if case .report(let form) = output { return form }
        return nil
    }
}

// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Quotas

/// Limits users by PgBouncer's `max_user_connections`, through a file that its configuration includes.
///
/// For one thread. The file is loaded only when its content changed: before 1.24 a RELOAD closes all connections that go
/// to servers by TLS. New limits hold for new connections; a short `server_lifetime` lets go of the old ones.
public final class PgBouncerBackend: EnforcementBackend {
    let options: PgBouncerOptions
    let instances: [Instance]
    /// What PgBouncer has, or is to have once it is back.
    var file = IncludeFile()
    /// What is in the file, and what to put back when a load fails.
    var written: [UInt8]?
    var lastGood: [UInt8] = []
    var stamp: FileStamp?
    /// The newest wants that were taken; `expires` as they said it last.
    var applied = (generation: UInt64(0), expires: Timestamp.epoch)
    /// The number in the acknowledgement of the last load.
    var serial: UInt64 = 0
    /// Whether the file has to be loaded though it says the same.
    var mustLoad = true
    var failure: String?
    var retry = (at: 0.0, pause: 0.0)
    var renewed = -1.0e9
    /// Lifted, and not yet reported.
    var lifted: Set<String> = []
    /// Released users whose lines have no purpose any more, as all processes are newer than the release.
    var prunable: Set<String> = []
    var operatorFile: OperatorFile?
    var drain: Drain?
    var nextDrain = -1.0e9
    var vain: [String: Vain] = [:]
    var drainProblem: String?
    var changeProblem: String?
    var loads: UInt64 = 0, failures: UInt64 = 0, drains: UInt64 = 0

    /// Takes over the file that is there: its limits stay until the first wants come, unless their lease has run out.
    public init(_ options: PgBouncerOptions, now: Timestamp) {
        self.options = options
        instances = options.instances.map(Instance.init)
        adopt(now)
        if !file.limited.isEmpty, !file.isFresh(now) {
            look(now, atMostEvery: 0)
            load(releases(), now)
        }
    }

    deinit {
        // A drain must not outlive us: it would go on replacing connections.
        if drain != nil { endDrain() }
    }

    /// `pgbouncer` and the file of limits.
    public var name: String { "pgbouncer \(options.limitsFile)" }

    /// What an operator should know, though nothing fails.
    public var notices: [String] {
        var notices: [String] = []
        for instance in instances {
            let mode = instance.config["server_tls_sslmode"] ?? "disable"
            if let version = instance.version, version.reloadRecyclesTLS, mode != "disable" {
                notices.append(
                    "PgBouncer \(version) closes all connections to TLS servers at each change of a limit: upgrade it to "
                        + "1.24 or later, or set server_tls_sslmode = disable"
                )
            }
        }
        if let problem = operatorFile?.problem { notices.append("the operator's configuration: \(problem)") }
        return notices
    }

    /// Those in SHOW USERS and in the operator's `[users]`.
    public func knownUsers() -> Set<String> {
        for instance in instances { instance.sample(atMostEvery: 5) }
        readOperatorFile()
        return known
    }

    /// Takes a step, which takes some milliseconds, with a load up to a second per instance.
    public func apply(_ wanted: WantedLimits, now: Timestamp) -> EnforcementOutcome {
        let isOld = wanted.generation < applied.generation && now < applied.expires
        let isOver = wanted.expires <= now
        if !isOld, !isOver { applied = (wanted.generation, wanted.expires) }
        look(now, atMostEvery: drain == nil ? 0.9 : 0.2)
        let plan = isOld ? keep() : plan(isOver ? [] : wanted.limits)
        // Released users who were reported once need no more word.
        let before = Set(file.limited)
        carryOut(plan, now, renews: !isOld && !isOver)
        lifted.formUnion(before.subtracting(file.limited))
        lifted.subtract(file.limited)
        driveDrain()
        var outcome = EnforcementOutcome(users: standing(plan), problem: problem)
        if isOld {
            let text =
                "wants number \(wanted.generation) came after number \(applied.generation) and are not carried out"
            outcome.problem = outcome.problem.map { "\(text); \($0)" } ?? text
        }
        (outcome.loads, outcome.failures, outcome.drains) = (loads, failures, drains)
        return outcome
    }

    /// See ``EnforcementBackend/releaseAll(now:)``.
    public func releaseAll(now: Timestamp) -> String? {
        look(now, atMostEvery: 0)
        if drain != nil { endDrain() }
        retry = (0, 0)
        applied.expires = .epoch
        if !file.limited.isEmpty || mustLoad || failure != nil { load(releases(), now) }
        lifted = []
        return problem
    }

    /// What is wrong with the whole.
    private var problem: String? {
        var problems = instances.compactMap { instance in
            instance.isUp ? instance.version?.refusal : "PgBouncer does not answer: \(instance.console.absence ?? "")"
        }
        problems += [failure, drainProblem, changeProblem].compactMap(\.self)
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }

    /// Asks the instances and looks at the files, at little cost.
    private func look(_ now: Timestamp, atMostEvery seconds: Double) {
        for instance in instances { instance.sample(atMostEvery: seconds) }
        readOperatorFile()
        noticeChange(now)
        for instance in instances where drain == nil { restoreLifetime(instance) }
        let areNew = instances.allSatisfy { $0.isUp && $0.mayBeNew && $0.acknowledgement == file.acknowledgement }
        if areNew { prunable = Set(file.entries.filter { $0.value.limit == nil }.keys) }
    }

    private func readOperatorFile() {
        guard let path = options.operatorFile, operatorFile?.isStale ?? true else { return }
        operatorFile = OperatorFile(path: path, own: [options.limitsFile, options.globalsFile].compactMap(\.self))
    }
}

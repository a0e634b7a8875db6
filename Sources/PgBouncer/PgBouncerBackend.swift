// SPDX-License-Identifier: Apache-2.0
public import Domain
import Platform
public import Quotas

/// Limits users by PgBouncer's `max_user_connections`, through a file that its configuration includes.
///
/// For one thread. The file is loaded only when PgBouncer has another one, and at a moment at which it opens no connection
/// to a server: before 1.24 a RELOAD closes all connections that go to servers by TLS, and logins that are under way. New
/// limits hold for new connections; a short `server_lifetime` lets go of the old ones, where the load did not.
public final class PgBouncerBackend: EnforcementBackend {
    let options: PgBouncerOptions
    let instances: [Instance]
    /// What PgBouncer has, or is to have once it is back.
    var file = IncludeFile()
    /// Whether the file holds nothing at all: PgBouncer then acknowledges none.
    var isBlank = true
    /// What is in the file, and what to put back when a load fails.
    var written: [UInt8]?
    var lastGood: [UInt8] = []
    var stamp: FileStamp?
    /// The newest wants that were taken; `expires` as they said it last.
    var applied = (generation: UInt64(0), expires: Timestamp.epoch)
    /// The number in the acknowledgement of the last load.
    var serial: UInt64 = 0
    /// Whether the file has to be written and loaded though it says the same.
    var mustLoad = false
    var failure: String?
    /// Why a load waits; nothing is wrong.
    var delay: String?
    var retry = (at: 0.0, pause: 0.0)
    var renewed = -1.0e9
    /// Lifted, and not yet reported.
    var lifted: Set<String> = []
    /// Released users whose lines have no purpose any more, as all processes are newer than the release.
    var prunable: Set<String> = []
    /// The operator's configuration by path, and why it is not known.
    var operatorFiles: [String: OperatorFile] = [:]
    var operatorProblem: String? = "PgBouncer did not say yet which configuration it has"
    /// Why nobody would lift limits, and since when nobody would.
    var guardAbsence: String?
    private var unguardedSince: Double?
    private let started = SystemClock.now()
    var drain: Drain?
    /// When a drain for the same limits may begin again, and when any may.
    var nextDrain = -1.0e9, earliestDrain = -1.0e9
    /// When the last drains began.
    var recentDrains: [Double] = []
    /// The limits of those for whom was drained last.
    var drained: [String: Int] = [:]
    var vain: [String: Vain] = [:]
    /// Whether the file of globals holds a short `server_lifetime`, and instances that have to be told that it does not.
    var holdsLifetime = false, owesLifetime: Set<Int> = []
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

    /// The acknowledgement that a PgBouncer gives that has the file as it is.
    var expected: String? { isBlank ? nil : file.acknowledgement }

    deinit {
        // A drain must not outlive us: it would go on replacing connections.
        if drain != nil { endDrain() }
    }

    /// `pgbouncer` and the file of limits.
    public var name: String { "pgbouncer \(options.limitsFile)" }

    /// What an operator should know, though nothing fails.
    public var notices: [String] {
        var notices: [String] = []
        let settings = operatorFiles.values.reduce(into: Set<String>()) { $0.formUnion($1.userSettings) }
        for instance in instances {
            guard let version = instance.version else { continue }
            for trap in PgBouncerTrap.all(version, config: instance.config, users: settings) where trap.kind == .limits
            {
                let text = "\(trap.text): \(trap.remedy)"
                if !notices.contains(text) { notices.append(text) }
            }
        }
        return notices
    }

    /// Users whom the file limits, sorted by bytes.
    public var limitedUsers: [String] { file.limited }

    /// Those in SHOW USERS and in the operator's `[users]`.
    public func knownUsers() -> Set<String> {
        for instance in instances { instance.sample(atMostEvery: 5) }
        readOperatorFiles()
        return known
    }

    /// Takes a step, which takes some milliseconds, with a load up to a second per instance.
    public func apply(_ wanted: WantedLimits, now: Timestamp) -> EnforcementOutcome {
        look(now, atMostEvery: drain == nil ? 0.9 : 0.2)
        // Another process may have written newer limits meanwhile.
        let isOld = wanted.generation < applied.generation && now < applied.expires
        let isOver = wanted.expires <= now
        if !isOld, !isOver { applied = (wanted.generation, wanted.expires) }
        watchGuard()
        let plan = isOld ? keep() : plan(isOver ? [] : wanted.limits)
        // Released users who were reported once need no more word.
        let before = Set(file.limited)
        carryOut(plan, now, renews: !isOld && !isOver)
        lifted.formUnion(before.subtracting(file.limited))
        lifted.subtract(file.limited)
        driveDrain()
        var outcome = EnforcementOutcome(users: standing(plan), problem: problem(isWanted: !wanted.limits.isEmpty))
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
        applied.expires = .epoch
        // A moment without logins at servers may take a while to come; nobody waits for ever.
        let deadline = SystemClock.now() + Self.releasePatience
        repeat {
            look(now, atMostEvery: 0)
            if drain != nil { endDrain() }
            retry = (0, 0)
            if !file.limited.isEmpty || mustLoad || failure != nil {
                load(releases(), now)
            } else {
                for instance in instances where instance.isUp && instance.acknowledgement != expected {
                    catchUp(instance)
                }
            }
        } while (delay != nil || !owesLifetime.isEmpty) && SystemClock.now() < deadline
        lifted = []
        if let loadProblem { return loadProblem }
        if let delay { return delay }
        return isLoaded ? nil : "PgBouncer did not say that it has read the file of limits"
    }

    private static let releasePatience = 8.0

    /// What keeps PgBouncer from having the file as it is.
    private var loadProblem: String? {
        let problems = instances.compactMap { instance in
            instance.isUp ? instance.version?.refusal : "PgBouncer does not answer: \(instance.console.absence ?? "")"
        }
        let all = problems + [failure, drainProblem, changeProblem].compactMap(\.self)
        return all.isEmpty ? nil : all.joined(separator: "; ")
    }

    /// What is wrong with the whole.
    private func problem(isWanted: Bool) -> String? {
        var problems = [loadProblem].compactMap(\.self)
        // A guard that is started together with us needs a moment.
        if let guardAbsence, isWanted || SystemClock.now() - started > 15 { problems.append(guardAbsence) }
        if let operatorProblem, instances.contains(where: \.isUp) { problems.append(operatorProblem) }
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }

    /// Asks the instances and looks at the files, at little cost.
    private func look(_ now: Timestamp, atMostEvery seconds: Double) {
        for instance in instances { instance.sample(atMostEvery: seconds) }
        readOperatorFiles()
        noticeChange(now)
        if drain == nil { settleLifetimes() }
        let areNew = instances.allSatisfy { $0.isUp && $0.mayBeNew && $0.acknowledgement == expected }
        if areNew { prunable = Set(file.entries.filter { $0.value.limit == nil }.keys) }
    }

    /// Asks whether somebody would lift limits if we died.
    private func watchGuard() {
        guardAbsence = options.guardAbsence?()
        // A guard cannot reach a PgBouncer that is away, and need not.
        if guardAbsence == nil || !instances.contains(where: \.isUp) {
            unguardedSince = nil
        } else if unguardedSince == nil {
            unguardedSince = SystemClock.now()
        }
    }

    /// Whether limits that are set must not stay: nobody would lift them if we died, and nobody has for long.
    var isUnguarded: Bool {
        unguardedSince.map { SystemClock.now() - $0 >= options.guardPatience } ?? false
    }

    /// Reads the operator's configuration where it changed: the file that was named, or those that the PgBouncers name.
    private func readOperatorFiles() {
        var paths: Set<String> = []
        var problem: String?
        if let named = options.operatorFile {
            paths = [named]
        } else {
            for instance in instances where instance.isUp {
                guard let path = instance.configurationFile, path.hasPrefix("/") else {
                    problem = "which pgbouncer.ini is in use cannot be told: name it (--pgbouncer-ini)"
                    continue
                }
                paths.insert(path)
            }
            if paths.isEmpty, problem == nil { problem = operatorFiles.isEmpty ? operatorProblem : nil }
            // While none answers, what was read stays.
            if paths.isEmpty { paths = Set(operatorFiles.keys) }
        }
        let own = [options.limitsFile, options.globalsFile].compactMap(\.self)
        operatorFiles = operatorFiles.filter { paths.contains($0.key) }
        for path in paths.sorted() {
            if operatorFiles[path]?.isStale ?? true {
                let directory = instances.lazy.compactMap { $0.pidFile?.directory }.first
                operatorFiles[path] = OperatorFile(path: path, own: own, directory: directory)
            }
            guard let file = operatorFiles[path] else { continue }
            if let reason = file.problem {
                problem = problem ?? "users' own settings in \(path) are not known, so nobody is limited: \(reason)"
            } else if options.operatorFile == nil, !file.includesOwn(options.limitsFile) {
                let text = "\(path) does not include \(options.limitsFile): is it PgBouncer's?"
                problem = problem ?? text + " Name it (--pgbouncer-ini)"
            }
        }
        operatorProblem = problem
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import PostgresClient
import Quotas
import ServiceLifecycle
import Settings
import Synchronization

/// Asks a database now and then who is in which tier, on a thread that nothing waits for; a reload may name another one.
final class TierDirectoryService: Service {
    /// What asks a database: in tests, none.
    typealias Question = @Sendable (DirectorySettings, Set<String>) throws(PostgresError) -> [String: String]

    private struct Task {
        var settings: DirectorySettings?
        var tiers: Set<String> = []
        var isNew = true
    }

    private let task: Mutex<Task>
    private let runner: Runner
    private let ask: Question
    /// What takes the tiers, and what is wrong; `nil`: nobody.
    private let quotas: QuotaService?

    /// A service that asks as `settings` say; `nil`: nobody is asked.
    init(
        _ settings: DirectorySettings?,
        _ policy: QuotaPolicy,
        for quotas: QuotaService?,
        clock: any ServiceClock = SystemClock(),
        ask: @escaping Question = { settings, tiers throws(PostgresError) in
            try TierDirectory(settings: settings).read(known: tiers)
        }
    ) {
        (runner, self.quotas, self.ask) = (Runner(clock), quotas, ask)
        task = Mutex(Task(settings: settings, tiers: Set(policy.tiers.keys)))
    }

    /// Asks another database from now on, or the same for other tiers.
    func follow(_ settings: DirectorySettings?, _ policy: QuotaPolicy) {
        let tiers = Set(policy.tiers.keys)
        task.withLock { task in
            guard task.settings != settings || task.tiers != tiers else { return }
            task = Task(settings: settings, tiers: tiers)
            runner.wake()
        }
    }

    /// Asks until the end, which does not wait for an answer.
    func run() async {
        await runner.run("no thread for 'quota.directory': its tiers are not known.", isAwaited: false) { [self] in
            serve()
        }
    }

    private func serve() {
        var last = -Double.infinity
        while !runner.isFinished {
            let current = task.withLock { task in
                defer { task.isNew = false }
                return task
            }
            if let settings = current.settings, current.isNew || runner.clock.now() - last >= Double(settings.every) {
                read(settings, current.tiers)
                last = runner.clock.now()
            } else if current.isNew {
                quotas?.take(directory: [:])
                quotas?.note(problem: nil, of: "directory")
            }
            runner.rest(1)
        }
    }

    private func read(_ settings: DirectorySettings, _ tiers: Set<String>) {
        do throws(PostgresError) {
            let found = try ask(settings, tiers)
            quotas?.take(directory: found)
            quotas?.note(problem: nil, of: "directory")
        } catch {
            // What was known goes on.
            quotas?.note(problem: "'quota.directory' does not answer: \(error)", of: "directory")
        }
    }
}

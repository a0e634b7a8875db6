// SPDX-License-Identifier: Apache-2.0
import Glibc
import PostgresClient
import Quotas
import Settings
import Synchronization

/// Asks a database now and then who is in which tier, on a thread that nothing waits for; a reload may name another one.
final class TierDirectoryService: Sendable {
    private struct Task {
        var settings: DirectorySettings?
        var tiers: Set<String> = []
        var isNew = true
    }

    private let task: Mutex<Task>
    private let runner = Runner()

    /// A service that asks as `settings` say; `nil`: nobody is asked.
    init(_ settings: DirectorySettings?, _ policy: QuotaPolicy) {
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

    /// Starts the thread; what is found goes to `service`.
    func start(_ service: QuotaService) {
        runner.start("no thread for 'quota.directory': its tiers are not known.") { [self] in run(service) }
    }

    func finish() { runner.finish() }

    private func run(_ service: QuotaService) {
        var last = -Double.infinity
        while !runner.isFinished {
            let current = task.withLock { task in
                defer { task.isNew = false }
                return task
            }
            if let settings = current.settings, current.isNew || SystemClock.now() - last >= Double(settings.every) {
                read(settings, current.tiers, service)
                last = SystemClock.now()
            } else if current.isNew {
                service.take(directory: [:])
                service.note(problem: nil, of: "directory")
            }
            runner.rest(1)
        }
    }

    private func read(_ settings: DirectorySettings, _ tiers: Set<String>, _ service: QuotaService) {
        do throws(PostgresError) {
            service.take(directory: try TierDirectory(settings: settings).read(known: tiers))
            service.note(problem: nil, of: "directory")
        } catch {
            // What was known goes on.
            service.note(problem: "'quota.directory' does not answer: \(error)", of: "directory")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Pipeline
import Platform
import ServiceLifecycle
import Systemd

/// Gives systemd signs of life while every worker turns, so that a daemon that hangs is restarted.
///
/// On a thread of its own: an answer over the local socket, a reload or a report may wait for a disk or a store for longer than
/// systemd waits, and is no reason to lose what the workers count.
final class Watchdog: Service {
    private let pool: WorkerPool
    private let notifier: ServiceNotifier
    private let interval: Double
    private let runner: Runner
    /// Between two looks at a worker that has not turned, in seconds.
    private static let pause = 0.25

    /// `nil` if systemd waits for no signs of life.
    init?(_ pool: WorkerPool, _ notifier: ServiceNotifier, clock: any ServiceClock = SystemClock()) {
        guard let interval = notifier.watchdogInterval else { return nil }
        (self.pool, self.notifier, self.interval) = (pool, notifier, interval)
        runner = Runner(clock)
    }

    /// Gives signs until the end.
    func run() async {
        await runner.run("no thread for systemd's watchdog: it will take the daemon for one that hangs.") { [self] in
            serve()
        }
    }

    private func serve() {
        var heartbeats = pool.heartbeats
        var isDue = false
        while !runner.isFinished {
            runner.rest(isDue ? min(Self.pause, interval) : interval)
            let turned = pool.heartbeats
            isDue = !zip(turned, heartbeats).allSatisfy { $0 != $1 }
            guard !isDue, !runner.isFinished else { continue }
            notifier.alive()
            heartbeats = turned
        }
    }
}

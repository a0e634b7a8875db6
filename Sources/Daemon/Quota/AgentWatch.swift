// SPDX-License-Identifier: Apache-2.0
import Platform
import ServiceLifecycle
import Systemd

/// An agent's thread that reads what is wanted, and tells how limits stand.
final class AgentWatch: Service {
    private let source: StoredLimits
    private let service: EnforcementService
    private let notifier: ServiceNotifier
    private let tell: @Sendable (String?) -> Void
    private let runner: Runner

    /// `tell`: takes how limits stand, and `nil` at the end.
    init(
        _ source: StoredLimits,
        _ service: EnforcementService,
        _ notifier: ServiceNotifier,
        clock: any ServiceClock = SystemClock(),
        tell: @escaping @Sendable (String?) -> Void
    ) {
        (self.source, self.service, self.notifier, self.tell) = (source, service, notifier, tell)
        runner = Runner(clock)
    }

    func run() async {
        await runner.run("no thread to read limits: none is set.") { [self] in serve() }
    }

    private func serve() {
        var turns = 0
        var complaints: Set<String> = []
        while !runner.isFinished, !Interrupt.isRequested {
            source.refresh()
            let problems = Set(service.summary.problems + (source.problem.map { [$0] } ?? []))
            for problem in problems.subtracting(complaints).sorted() { Log.warning("agent.problem", problem) }
            complaints = problems
            if turns % 4 == 0 { tell(service.export) }
            turns += 1
            notifier.alive()
            runner.rest(0.5)
        }
        tell(nil)
        notifier.stopping()
    }
}

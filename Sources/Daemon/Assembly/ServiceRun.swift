// SPDX-License-Identifier: Apache-2.0
import Logging
import Platform
import ServiceLifecycle
import Synchronization
import UnixSignals

/// A group of services, run from a thread that is none of the pool's: all begin at once, and end one after the other, the last
/// of the list first.
final class ServiceRun: Sendable {
    private let group: ServiceGroup
    private let wakeUp = WakeUp()
    private let failure = Mutex<(any Error)?>(nil)
    private let isOver = Atomic<Bool>(false)

    /// A group that SIGTERM and SIGINT end, and the end of any of the services, too.
    init(_ services: [any Service]) {
        var logger = Logger(label: "pgweir.services", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .critical
        group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map {
                    ServiceGroupConfiguration.ServiceConfiguration(
                        service: $0,
                        successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .gracefullyShutdownGroup
                    )
                },
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
    }

    /// Begins.
    func start() {
        Task.detached { [self] in
            do {
                try await group.run()
            } catch {
                failure.withLock { $0 = error }
            }
            isOver.store(true, ordering: .releasing)
            wakeUp.wake()
        }
    }

    /// Waits until all services have ended.
    func wait() throws(ExitStatus) {
        while !isOver.load(ordering: .acquiring) { wakeUp.wait(3600) }
        guard let error = failure.withLock({ $0 }) else { return }
        Log.error("daemon.service_failed", "a service ended that was not to: \(error)")
        throw Sysexit.software
    }
}

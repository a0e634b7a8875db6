// SPDX-License-Identifier: Apache-2.0
import Glibc
import ServiceLifecycle
import UnixSignals

/// SIGHUP, and the second of SIGINT and SIGTERM; the first of these ends the group by itself.
struct SignalService: Service {
    /// Called after each SIGHUP; `nil`: it is left to the system.
    var onReload: (@Sendable () -> Void)?

    func run() async {
        let trapped: [UnixSignal] = (onReload == nil ? [] : [.sighup]) + [.sigint, .sigterm]
        for await signal in await UnixSignalsSequence(trapping: trapped).cancelOnGracefulShutdown() {
            Interrupt.note(signal.rawValue)
            if signal == .sighup { onReload?() }
        }
    }
}

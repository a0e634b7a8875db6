// SPDX-License-Identifier: Apache-2.0
import Glibc
import Systemd
import Testing

struct ServiceNotifierTests {
    @Test func `the watchdog is due in half of its time`() {
        let notifier = ServiceNotifier { ["WATCHDOG_USEC": "3000000"][$0] }
        #expect(notifier.watchdogInterval == 1.5)
    }

    @Test(arguments: [
        [:], ["WATCHDOG_USEC": "x"], ["WATCHDOG_USEC": "0"], ["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"],
    ])
    func `without a watchdog of ours nothing is due`(_ environment: [String: String]) {
        #expect(ServiceNotifier { environment[$0] }.watchdogInterval == nil)
    }

    @Test func `where nobody listens nothing happens`() {
        let notifier = ServiceNotifier { $0 == "NOTIFY_SOCKET" ? "/nowhere/at/all" : nil }
        notifier.ready("fine")
        ServiceNotifier { _ in nil }.alive()
        ServiceNotifier { $0 == "NOTIFY_SOCKET" ? "relative" : nil }.stopping()
    }
}

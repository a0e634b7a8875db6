// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization

/// ^C and SIGTERM: ask to stop and report; a second one ends the program at once.
public enum Interrupt {
    private static let requests = Atomic<Int>(0)
    private static let reloads = Atomic<Int>(0)
    private static let wakeUp = WakeUp()

    /// Whether the program was asked to stop.
    public static var isRequested: Bool { requests.load(ordering: .relaxed) > 0 }

    /// Whether SIGHUP came since the last time this was asked.
    static func takeReload() -> Bool { reloads.exchange(0, ordering: .relaxed) > 0 }

    /// Takes SIGHUP for "read the configuration again" from now on.
    static func installReload() { signal(SIGHUP) { Interrupt.note($0) } }

    /// Waits so many seconds, less if the program is asked to stop; whether it was.
    @discardableResult
    public static func wait(_ seconds: Double) -> Bool {
        isRequested || wakeUp.isWoken(within: seconds)
    }

    /// Takes both signals from now on; once services run, ``SignalService`` does.
    public static func install() {
        // Made now, not in a signal's handler.
        wakeUp.clear()
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGINT, SIGTERM] { signal(number) { Interrupt.note($0) } }
    }

    /// Acts on a signal: in a signal's handler, so it only counts and writes to a descriptor.
    static func note(_ number: Int32) {
        if number == SIGHUP {
            reloads.add(1, ordering: .relaxed)
        } else if requests.add(1, ordering: .relaxed).newValue > 1 {
            _exit(128 + number)
        } else {
            wakeUp.wake()
        }
    }
}

/// Something that happens once.
final class OneTime: Sendable {
    private let isRaised = Atomic<Bool>(false)

    /// Raises it; whether it was up before.
    func raise() -> Bool { isRaised.exchange(true, ordering: .relaxed) }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Wakes a thread that waits in poll(2), by an eventfd(2).
///
/// Whoever has news makes them visible first and wakes second; whoever waits clears first and looks for news second. So news that
/// came before the clearing are found by that look, and news after it end the next wait: none is lost, and none wakes twice.
public final class WakeUp: Sendable {
    /// Readable from ``wake()`` to ``clear()``; -1 where the system has no descriptor left: then a wait lasts its time.
    public let descriptor: Int32

    /// Nobody is woken yet.
    public init() { descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC)) }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Ends the present wait, or the next one.
    public func wake() { _ = eventfd_write(descriptor, 1) }

    /// Lets the next wait last, before news are looked for.
    public func clear() {
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor, &count)
    }

    /// Whether somebody wakes, or did before, within so many seconds; it is not cleared, so that all who wait see it.
    public func isWoken(within seconds: Double) -> Bool {
        Readiness.isReadable(descriptor, within: seconds)
    }

    /// Waits so many seconds, or until somebody wakes; whether somebody did, which is cleared then.
    ///
    /// - Parameter seconds: `nil`: for ever, but at most an hour where the system has no descriptor left.
    @discardableResult
    public func wait(_ seconds: Double?) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let isEndless = seconds == nil && descriptor >= 0
        let time = isEndless ? -1 : Int32(min(max((seconds ?? 3600) * 1000, 0), 3_600_000).rounded(.up))
        guard unsafe poll(&waiting, 1, time) > 0 else { return false }
        clear()
        return true
    }
}

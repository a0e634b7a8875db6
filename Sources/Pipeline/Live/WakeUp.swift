// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Wakes a thread that waits in poll(2), by an eventfd(2).
///
/// Whoever has news makes them visible first and wakes second; whoever waits clears first and looks for news second. So news that
/// came before the clearing are found by that look, and news after it end the next wait: none is lost, and none wakes twice.
final class WakeUp: Sendable {
    /// Readable from ``wake()`` to ``clear()``; -1 where the system has no descriptor left: then a wait lasts its time.
    let descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Ends the present wait, or the next one.
    func wake() { _ = eventfd_write(descriptor, 1) }

    /// Lets the next wait last, before news are looked for.
    func clear() {
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor, &count)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// What a thread of the daemon sleeps on, so that it need not wake up to see whether there is something to do.
final class Bell: Sendable {
    /// Readable once somebody rang (eventfd(2)); -1 where none was to be had: then sleep lasts its time.
    let descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Wakes up whoever rests, or rests next.
    func ring() { _ = eventfd_write(descriptor, 1) }

    /// Sleeps so many seconds, or until somebody rings; whether somebody did.
    @discardableResult
    func rest(_ seconds: Double) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let time = Int32(min(max(seconds * 1000, 0), 3_600_000).rounded(.up))
        guard unsafe poll(&waiting, 1, time) > 0 else { return false }
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor, &count)
        return true
    }
}

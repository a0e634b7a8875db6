// SPDX-License-Identifier: Apache-2.0
import CHiredis
import Glibc

/// The steady clock.
enum Clock {
    /// Seconds since some point.
    static func now() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// What the system says of an error number.
    static func message(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard unsafe strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A span as poll(2) wants it: milliseconds, rounded up, at most a minute.
    static func milliseconds(_ seconds: Double) -> Int32 {
        guard seconds > 0 else { return 0 }
        return seconds < 60 ? Int32((seconds * 1000).rounded(.up)) : 60_000
    }
}

/// Wakes a thread that waits in poll(2): an eventfd(2).
final class Signal: Sendable {
    let descriptor: Int32

    /// A signal; `nil` when the system has no descriptor left.
    init?() {
        let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    func raise() { _ = eventfd_write(descriptor, 1) }

    func clear() {
        var value: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor, &value)
    }

    /// Waits until it is raised or `deadline` has passed; whether it was raised.
    func wait(until deadline: Double) -> Bool {
        while true {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = deadline - Clock.now()
            let count = unsafe poll(&waiting, 1, Clock.milliseconds(left))
            if count > 0 { return true }
            if left <= 0 { return false }
        }
    }
}

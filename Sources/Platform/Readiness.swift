// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Waits for one descriptor, by poll(2).
enum Readiness {
    /// Whether it is readable, or its other side is gone, within so many seconds, whatever signals come; -1: never.
    static func isReadable(_ descriptor: Int32, within seconds: Double) -> Bool {
        let end = SystemClock.now() + seconds
        while true {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = end - SystemClock.now()
            let time = Int32(min(max(left * 1000, 0), 60_000).rounded(.up))
            if unsafe poll(&waiting, 1, time) > 0 { return true }
            if left <= 0 { return false }
        }
    }
}

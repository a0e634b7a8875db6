// SPDX-License-Identifier: Apache-2.0
/// Spans as the system calls want them.
enum Clock {
    /// A span as poll(2) wants it: milliseconds, rounded up, at most a minute.
    static func milliseconds(_ seconds: Double) -> Int32 {
        guard seconds > 0 else { return 0 }
        return seconds < 60 ? Int32((seconds * 1000).rounded(.up)) : 60_000
    }
}

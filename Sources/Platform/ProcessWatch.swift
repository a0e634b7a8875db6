// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Tells when a process ends, by a pidfd (pidfd_open(2), Linux 5.3).
public struct ProcessWatch: ~Copyable {
    /// -1 where the system refuses one: then a wait lasts its time.
    private let descriptor: Int32

    /// Watches a process; of a child the number stays its own until it is waited for (waitpid(2)).
    public init(_ pid: Int32) { descriptor = linux_watch_process(pid) }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether it ends within so many seconds, or did before; it is not waited for in the sense of waitpid(2).
    public func hasEnded(within seconds: Double) -> Bool { Readiness.isReadable(descriptor, within: seconds) }
}

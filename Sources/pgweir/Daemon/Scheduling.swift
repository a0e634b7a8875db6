// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// How the kernel shares the processor between the daemon and the queries of the same host (sched(7)).
enum Scheduling {
    /// From now on this process, and every thread that it starts, never takes the processor from what runs there.
    ///
    /// When packets wake it up, it waits for a free processor or the end of somebody's turn; what wakes up while it runs
    /// goes first. The ring keeps the packets that long. Whoever chose a policy for it already, such as systemd's `CPUSchedulingPolicy=`, is left with that.
    static func giveWay() {
        guard sched_getscheduler(0) == SCHED_OTHER else { return }
        // Nobody is refused it.
        _ = linux_give_way()
    }
}

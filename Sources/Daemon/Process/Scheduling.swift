// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// How the kernel shares the processor between the daemon and the queries of the same host (sched(7)).
public enum Scheduling {
    /// From now on this process, and every thread that it starts, never takes the processor from what runs there.
    ///
    /// When packets wake it up, it waits for a free processor or the end of somebody's turn; what wakes up while it runs
    /// goes first. The ring keeps the packets that long. Whoever chose a policy for it already is left with that: a unit
    /// with `CPUSchedulingPolicy=` may forbid the call besides.
    public static func giveWay() { _ = gaveWay }

    /// Whether it was this process itself that chose to.
    static let gaveWay = sched_getscheduler(0) == SCHED_OTHER && linux_give_way() == 0
}

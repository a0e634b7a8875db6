// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Runs the server's tasks on the loop that moves its bytes: one thread serves all pages, and whoever else has tasks is
/// not waited for, nor made to wait.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { [self] in unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}

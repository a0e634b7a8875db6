// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Foundation
import Synchronization

/// Runs code on a thread with a stack of 64 MiB.
///
/// PostgreSQL's parser is recursive and libpg_query does not check its stack: an expression of 1,300 terms kills a
/// process on a thread of 512 KiB, of 140,000 terms one of 64 MiB. With the limits of ``SyntaxTree`` there is no such
/// text.
enum DeepStack {
    private static var size: Int { 64 << 20 }

    private final class Box<Value: Sendable>: Sendable {
        let value = Mutex<Value?>(nil)
    }

    /// The result of `body`, or `nil` when the system refuses a thread.
    static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value? {
        let box = Box<Value>()
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            let value = body()
            box.value.withLock { $0 = value }
            done.signal()
        }
        thread.stackSize = size
        thread.start()
        // A thread that the system refuses is not told of: no parser needs that long.
        guard done.wait(timeout: .now() + 10) == .success else { return nil }
        return box.value.withLock { $0 }
    }
}

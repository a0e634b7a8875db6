// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization

/// Ends a listener once nobody is between it and the task that serves connections.
///
/// A connection that is made ready and then taken by no task ends the program (`NIOAsyncWriter`); so the last of them are waited
/// for, and new ones are turned away, before the listener closes.
final class Acceptance: Sendable {
    private struct State {
        /// Connections that are made ready, or are ready, and that no task has taken.
        var waiting = 0
        var isEnding = false
        var listener: (any Channel)?
    }

    private let state = Mutex(State())

    /// A connection comes; false: it must be turned away.
    func enter() -> Bool {
        state.withLock { state in
            guard !state.isEnding else { return false }
            state.waiting += 1
            return true
        }
    }

    /// A connection that came was taken by its task, or could not be made ready.
    func leave() {
        let listener = state.withLock { state -> (any Channel)? in
            state.waiting -= 1
            return state.isEnding && state.waiting == 0 ? state.listener.take() : nil
        }
        listener?.close(promise: nil)
    }

    /// Turns away who comes, and closes the listener as soon as it can be.
    func end(_ listener: any Channel) {
        let isFree = state.withLock { state in
            state.isEnding = true
            if state.waiting > 0 { state.listener = listener }
            return state.waiting == 0
        }
        if isFree { listener.close(promise: nil) }
    }
}

// SPDX-License-Identifier: Apache-2.0
public import Reports
import Synchronization

/// The first failure to write, kept for the end.
public final class FailureBox: Sendable {
    private let stored = Mutex<ExitStatus?>(nil)

    /// Nothing failed yet.
    public init() {}

    /// A recorder of lines on standard output that ends when they cannot be written.
    public func recorder() -> NDJSONRecorder {
        NDJSONRecorder { [self] bytes in
            guard code == nil else { return }
            do throws(ExitStatus) { try Output.write(bytes) } catch { code = error }
        }
    }

    /// How the program is to end because of it.
    public var code: ExitStatus? {
        get { stored.withLock { $0 } }
        set { stored.withLock { $0 = newValue } }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// Why the daemon could not be reached over its local socket, or cannot listen on it.
public enum ControlError: Error, Equatable, CustomStringConvertible {
    /// Nothing listens there.
    case noDaemon(path: String, reason: String)
    /// Another daemon listens there already.
    case inUse(path: String)
    /// The socket cannot be made.
    case cannotListen(path: String, reason: String)
    /// The path does not fit into a socket address (107 bytes; unix(7)).
    case pathTooLong(path: String)
    /// The connection ended in the middle, or took too long.
    case broken(path: String, reason: String)
    /// The daemon does not do that, and says why.
    case refused(reason: String)

    /// What happened, to what, and what to do.
    public var description: String {
        switch self {
        case .noDaemon(let path, let reason):
            "no daemon answers at \(path): \(reason); is 'pgweir run' running, with the same --socket?"
        case .inUse(let path):
            "another daemon listens at \(path) already; give this one another --socket, or --socket none."
        case .cannotListen(let path, let reason):
            "cannot listen at \(path): \(reason); name a folder that this user may write to with --socket."
        case .pathTooLong(let path): "the socket path \(path) is longer than 107 bytes; choose a shorter one."
        case .broken(let path, let reason): "the daemon at \(path) broke off: \(reason)."
        case .refused(let reason): "the daemon refuses: \(reason)"
        }
    }

    static func text(_ code: Int32) -> String {
        SystemError.text(code)
    }
}

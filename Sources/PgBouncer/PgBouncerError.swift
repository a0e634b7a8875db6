// SPDX-License-Identifier: Apache-2.0

/// Why a file or a process of PgBouncer's could not be dealt with.
public enum PgBouncerError: Error, Equatable, CustomStringConvertible {
    /// A file is there and cannot be read.
    case cannotRead(path: String, reason: String)
    /// A file cannot be replaced.
    case cannotWrite(path: String, reason: String)
    /// The process of a pid file cannot be told to load its files again.
    case cannotSignal(path: String, reason: String)

    /// What happened, to what, and what to do.
    public var description: String {
        switch self {
        case .cannotRead(let path, let reason): "cannot read \(path): \(reason)"
        case .cannotWrite(let path, let reason):
            "cannot write \(path): \(reason); its folder must be writable for us, as files are replaced as a whole"
        case .cannotSignal(let path, let reason):
            "cannot send SIGHUP to the process of \(path): \(reason); run as PgBouncer's user, or with CAP_KILL"
        }
    }
}

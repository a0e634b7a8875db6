// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// An error number of a system call (errno(3)).
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The number.
    public let code: Int32

    /// An error number.
    public init(_ code: Int32) { self.code = code }

    /// That of this thread's last system call.
    public static var last: SystemError { SystemError(errno) }

    /// What the system says of it, such as `No such file or directory`.
    public var description: String { Self.text(code) }

    /// What the system says of an error number.
    public static func text(_ code: Int32) -> String {
        // strerror(3) may be another thread's while it is read.
        var buffer = [CChar](repeating: 0, count: 256)
        guard unsafe strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

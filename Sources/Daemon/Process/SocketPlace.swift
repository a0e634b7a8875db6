// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where the daemon's local socket is: the same for the daemon and for the commands that ask it.
public struct SocketPlace: Sendable {
    /// The path that was asked for, or `none`; `nil`: the usual one.
    public var asked: String?

    /// The socket at this path; `nil`: the usual one.
    public init(_ asked: String?) { self.asked = asked }

    static let folder = "/run/pgweir"

    /// The path asked for, else the usual one of this user.
    public var path: String {
        if let asked { return asked }
        if unsafe access(Self.folder, R_OK | X_OK) == 0 || geteuid() == 0 { return Self.folder + "/pgweir.sock" }
        if let runtime = Output.environment("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") {
            return runtime + "/pgweir.sock"
        }
        return Self.folder + "/pgweir.sock"
    }

    /// A socket of this name beside it.
    public func sibling(_ name: String) -> String {
        (path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".") + "/" + name
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The relay whose copies are read, and how it is started if there is none.
public struct ProxyConfiguration: Sendable {
    /// The relay's control socket.
    public var path: String
    /// Whether a relay is started where none is there.
    public var starts: Bool
    /// What a relay is started with, but its control socket.
    public var arguments: [String]

    /// A relay at this socket.
    public init(path: String, starts: Bool, arguments: [String]) {
        (self.path, self.starts, self.arguments) = (path, starts, arguments)
    }
}

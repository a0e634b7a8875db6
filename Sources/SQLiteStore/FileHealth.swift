// SPDX-License-Identifier: Apache-2.0

/// What became of a folder's files: which were set aside, what was lost with them, and which cannot be used now.
public struct FileHealth: Sendable {
    /// How often each file was set aside, by name.
    public private(set) var setAside: [String: Int] = [:]
    private var losses: [String: String] = [:]
    private var obstacles: [String: String] = [:]

    /// Nothing happened yet.
    public init() {}

    /// Takes what a store tells of the file `name`; gives what to say of it, if anything.
    ///
    /// - Parameter loss: a sentence that says what goes with the file.
    public mutating func note(_ event: FileReport.Event, _ name: String, loss: String) -> String? {
        switch event {
        case .setAside(let target, _):
            setAside[name, default: 0] += 1
            losses[name] = "was damaged and is now \(Self.name(of: target)); a new one was made. \(loss)"
            return losses[name]
        case .unusable(let reason):
            obstacles[name] = "cannot be used: \(reason)"
            return "cannot be used, nothing is kept in it: \(reason)"
        case .gone:
            losses[name] = "was removed while it was open; a new one is made. \(loss)"
            return losses[name]
        case .overgrown(let reason):
            obstacles[name] = "cannot be rotated, and grows: \(reason)"
            return obstacles[name]
        case .usable:
            obstacles[name] = nil
            return nil
        }
    }

    /// A file's name without its folder, which may be private.
    public static func name(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    }

    /// What is wrong, a sentence each: what was lost, which stays told, as a new file does not bring it back, and what
    /// cannot be kept now.
    public var problems: [String] {
        [losses, obstacles].flatMap { texts in texts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" } }
    }
}

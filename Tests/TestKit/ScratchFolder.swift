// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A new folder for a test; the servers that run in it may read it.
public final class ScratchFolder: Sendable {
    /// Where it is.
    public let path: String

    /// Makes one, which belongs to the user that servers run as.
    public init() throws {
        path = NSTemporaryDirectory() + "pgweir-test-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try give("")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A path in it.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// The text of one of its files; empty where there is none.
    public func text(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: file(name)) ?? Data(), as: UTF8.self)
    }

    /// Writes one of its files.
    public func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: file(name)))
        try give(name)
    }

    /// Makes a folder in it.
    public func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: file(name), withIntermediateDirectories: false)
        try give(name)
    }

    private func give(_ name: String) throws {
        guard getuid() == 0 else { return }
        try FileManager.default.setAttributes(
            [.ownerAccountName: "postgres", .groupOwnerAccountName: "postgres"],
            ofItemAtPath: file(name)
        )
    }
}

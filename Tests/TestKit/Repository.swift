// SPDX-License-Identifier: Apache-2.0
public import FoundationEssentials

/// Where tests find their files.
public enum Repository {
    /// The root of the checkout.
    public static let root = String(#filePath.dropLast("/Tests/TestKit/Repository.swift".count))
    /// Captures that are shipped.
    public static let captures = root + "/Fixtures/Captures"
    /// Captures that lie beside the checkout on developers' machines; perhaps not there.
    public static let sharedCaptures = root + "/../shared/captures"

    /// The names of a folder's files, sorted; none when it does not exist.
    public static func files(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    /// A file's bytes.
    public static func read(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }
}

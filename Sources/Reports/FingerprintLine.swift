// SPDX-License-Identifier: Apache-2.0
public import Domain

/// One line of `pgweir fingerprint`.
public enum FingerprintLine {
    /// `{"fingerprint": …, "pattern": …}`, or the two with a tab between; with a line feed.
    public static func render(_ fingerprint: Fingerprint, _ pattern: [UInt8], isJSON: Bool) -> [UInt8] {
        guard isJSON else { return Array(fingerprint.description.utf8) + [0x09] + pattern + [0x0A] }
        var json = JSONWriter()
        json.object { json in
            json.field("fingerprint", fingerprint.description)
            json.field("pattern", text: pattern)
        }
        json.newline()
        return json.bytes
    }
}

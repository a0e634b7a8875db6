// SPDX-License-Identifier: Apache-2.0

/// A JSON object of texts on one line, for lists that scripts read.
public struct KeyedLine {
    private var json = JSONWriter(isIndented: false)

    /// The object of these names and values, in order; `nil` values are null.
    public init(_ entries: [(name: String, value: String?)]) {
        json.object { json in
            for entry in entries { json.field(named: entry.name, entry.value) }
        }
        json.newline()
    }

    /// UTF-8, ends with a line feed.
    public var bytes: [UInt8] { json.bytes }
}

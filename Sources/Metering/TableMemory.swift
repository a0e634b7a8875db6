// SPDX-License-Identifier: Apache-2.0

/// What one table holds, and what it may.
public struct TableMemory: Sendable, Equatable {
    /// The table's name, in small letters.
    public var name: String
    /// Bytes that it takes, and at most may take.
    public var bytes: Int, most: Int

    /// A table's memory.
    public init(_ name: String, bytes: Int, most: Int) { (self.name, self.bytes, self.most) = (name, bytes, most) }

    /// Tables of one name as one, in the order in which they come first.
    public static func sum(_ lists: [[TableMemory]]) -> [TableMemory] {
        var sum: [TableMemory] = []
        for table in lists.joined() {
            if let index = sum.firstIndex(where: { $0.name == table.name }) {
                sum[index].bytes += table.bytes
                sum[index].most += table.most
            } else {
                sum.append(table)
            }
        }
        return sum
    }
}

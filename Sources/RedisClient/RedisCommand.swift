// SPDX-License-Identifier: Apache-2.0

/// A command and its arguments; those that are keys say at which node of a cluster it is done.
public struct RedisCommand: Sendable, Equatable {
    /// The command's name and its arguments, as bytes.
    public let arguments: [[UInt8]]
    /// Which argument is the first key, counted from 0, the name; `nil`: the command goes to any node.
    public let key: Int?
    /// Which arguments are keys besides.
    public let moreKeys: [Int]

    /// A command.
    ///
    /// - Parameters:
    ///   - arguments: its name first.
    ///   - key: which of them is the key, counted from 0, the name; `nil`: any node may do it.
    ///   - moreKeys: further keys, of the same cluster slot as the first.
    public init(_ arguments: [[UInt8]], key: Int? = 1, moreKeys: [Int] = []) {
        self.arguments = arguments
        self.key = key
        self.moreKeys = moreKeys
    }

    /// A command of texts, in UTF-8.
    ///
    /// - Parameters:
    ///   - words: its name first.
    ///   - key: which of them is the key, counted from 0, the name; `nil`: any node may do it.
    ///   - moreKeys: further keys, of the same cluster slot as the first.
    public init(_ words: String..., key: Int? = 1, moreKeys: [Int] = []) {
        self.init(words.map { Array($0.utf8) }, key: key, moreKeys: moreKeys)
    }

    /// Whether it has a name, and its keys are arguments.
    var isWellFormed: Bool {
        !arguments.isEmpty && (key.map { arguments.indices.contains($0) } ?? moreKeys.isEmpty)
            && moreKeys.allSatisfy { arguments.indices.contains($0) }
    }

    /// Appends the command as the protocol has it (RESP, "Sending commands to a Redis server").
    func encode(into bytes: inout [UInt8]) {
        Self.append(UInt8(ascii: "*"), arguments.count, to: &bytes)
        for argument in arguments {
            Self.append(UInt8(ascii: "$"), argument.count, to: &bytes)
            bytes += argument
            bytes += Self.lineEnd
        }
    }

    private static let lineEnd: [UInt8] = [0x0D, 0x0A]

    private static func append(_ type: UInt8, _ count: Int, to bytes: inout [UInt8]) {
        bytes.append(type)
        var (power, left) = (1, count)
        while left / power >= 10 { power *= 10 }
        while power > 0 {
            bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: left / power))
            left %= power
            power /= 10
        }
        bytes += lineEnd
    }
}

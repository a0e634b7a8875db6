// SPDX-License-Identifier: Apache-2.0

/// One question to the daemon: a word and options, on one line, as in `status format=json top=10`.
public struct ControlRequest: Sendable, Equatable {
    /// What is asked for, such as `status`.
    public var verb: String
    /// Options by name.
    public var options: [String: String]
    /// Who asks, as the kernel knows it, such as `uid 1000, pid 4711`; no client can say that itself.
    public internal(set) var peer = ""

    /// Longer lines are refused, in bytes.
    static let longest = 4096

    /// A request.
    public init(_ verb: String, _ options: [String: String] = [:]) {
        self.verb = verb
        self.options = options
    }

    /// Reads a line; `nil` when it has no verb or an option without a value.
    init?(line: String) {
        let words = line.split(separator: " ")
        guard let verb = words.first, !verb.contains("=") else { return nil }
        self.init(String(verb))
        for word in words.dropFirst() {
            guard let equals = word.firstIndex(of: "="), equals > word.startIndex else { return nil }
            options[String(word[..<equals])] = Self.decode(word[word.index(after: equals)...])
        }
    }

    /// The line that ``init(line:)`` reads; names have no blanks or line ends.
    var line: String {
        let words = options.sorted { $0.key < $1.key }.map { "\($0.key)=\(Self.encode($0.value))" }
        return ([verb] + words).joined(separator: " ") + "\n"
    }

    /// Percent-encoding (RFC 3986, section 2.1) of blanks, controls and what is not ASCII.
    private static func encode(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "%") {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return result
    }

    private static func decode(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

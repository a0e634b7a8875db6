// SPDX-License-Identifier: Apache-2.0

/// One question to the daemon: a word and options, on one line, as in `status format=json top=10`.
public struct ControlRequest: Sendable, Equatable {
    /// What is asked for, such as `status`.
    public var verb: String
    /// Options by name.
    public var options: [String: String]

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
            options[String(word[..<equals])] = String(word[word.index(after: equals)...])
        }
    }

    /// The line that ``init(line:)`` reads; names and values have no blanks or line ends.
    var line: String {
        let words = options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return ([verb] + words).joined(separator: " ") + "\n"
    }
}

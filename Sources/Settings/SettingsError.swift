// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a configuration, where, and what to write instead.
public struct SettingsError: Error, Equatable, CustomStringConvertible {
    /// The file.
    public var file: String
    /// Line and column, from 1; 0 when the whole file is meant.
    public var line: Int, column: Int
    /// What is wrong and what to write instead.
    public var message: String

    /// An error at a place of a file.
    public init(file: String, line: Int = 0, column: Int = 0, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    /// Such as `file:line:column: message`.
    public var description: String {
        line == 0 ? "\(file): \(message)" : "\(file):\(line):\(column): \(message)"
    }
}

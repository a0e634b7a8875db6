// SPDX-License-Identifier: Apache-2.0
import Reports

/// One thing that the doctor looked at.
public struct Finding: Sendable {
    /// How bad it is.
    public enum Level: String, Sendable {
        case fine = "ok"
        case note
        case warning
        case error
    }

    /// How bad it is.
    public var level: Level
    /// A stable name for scripts, such as `capture.rights`.
    public var name: String
    /// What was found, in plain words.
    public var text: String
    /// What to do about it.
    public var remedy: String?

    static func fine(_ name: String, _ text: String) -> Finding { Finding(level: .fine, name: name, text: text) }

    static func note(_ name: String, _ text: String, _ remedy: String? = nil) -> Finding {
        Finding(level: .note, name: name, text: text, remedy: remedy)
    }

    static func warning(_ name: String, _ text: String, _ remedy: String) -> Finding {
        Finding(level: .warning, name: name, text: text, remedy: remedy)
    }

    static func error(_ name: String, _ text: String, _ remedy: String) -> Finding {
        Finding(level: .error, name: name, text: text, remedy: remedy)
    }

    /// One line, and one for the remedy.
    public func lines(isColored: Bool) -> [String] {
        let (mark, color) =
            switch level {
            case .fine: ("ok", "32")
            case .note: ("note", "2")
            case .warning: ("warning", "33")
            case .error: ("error", "1;31")
            }
        let padded = mark + String(repeating: " ", count: 8 - mark.count)
        let head = (isColored ? "\u{1B}[\(color)m\(padded)\u{1B}[0m" : padded) + text
        return [head] + (remedy.map { ["        → \($0)"] } ?? [])
    }
}

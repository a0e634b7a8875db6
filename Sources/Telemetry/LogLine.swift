// SPDX-License-Identifier: Apache-2.0
import Domain

/// How much a line matters, by syslog's words.
public enum LogLevel: String, Sendable, CaseIterable, Comparable {
    /// Of use to whoever looks for a fault.
    case debug
    /// Something that happened as it should.
    case info
    /// Something is worse than it should be; the daemon goes on.
    case warning
    /// The daemon, or a part of it, cannot go on.
    case error

    /// syslog(3) priorities, as journald takes them in front of a line.
    var priority: Int {
        switch self {
        case .debug: 7
        case .info: 6
        case .warning: 4
        case .error: 3
        }
    }

    /// By how much it matters.
    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.priority > right.priority }
}

/// The form of log lines.
public enum LogFormat: String, Sendable, CaseIterable {
    /// For people.
    case text
    /// `key=value`, quoted where needed.
    case logfmt
    /// One JSON object a line.
    case json
}

/// One event of the log: one line, whatever it holds.
public struct LogLine: Sendable {
    /// How much it matters.
    public var level: LogLevel
    /// What happened, in a stable word such as `config.reloaded`.
    public var event: String
    /// The same for people.
    public var text: String
    /// What else there is to tell.
    public var fields: [(name: String, value: String)]

    /// An event.
    public init(_ level: LogLevel, _ event: String, _ text: String, _ fields: [(name: String, value: String)] = []) {
        (self.level, self.event, self.text, self.fields) = (level, event, text, fields)
    }

    /// The line with its end; `time` is RFC 3339.
    ///
    /// - Parameters:
    ///   - program: what stands before a line for people.
    ///   - forJournal: journald takes the level from a prefix, and knows the time.
    public func render(_ format: LogFormat, program: String = "pgweir", time: String, forJournal: Bool) -> String {
        let prefix = forJournal ? "<\(level.priority)>" : ""
        switch format {
        case .text:
            let word = level == .info ? "" : level.rawValue + ": "
            return prefix + (forJournal ? "" : program + ": ") + word + Self.clean(text) + "\n"
        case .logfmt:
            var parts = forJournal ? [] : ["time=" + time]
            parts += ["level=" + level.rawValue, "event=" + event, "msg=" + Self.quoted(text)]
            parts += fields.map { "\($0.name)=\(Self.needsQuotes($0.value) ? Self.quoted($0.value) : $0.value)" }
            return prefix + parts.joined(separator: " ") + "\n"
        case .json:
            let entries = [("time", time), ("level", level.rawValue), ("event", event), ("msg", text)] + fields
            return prefix + "{" + entries.map { Self.quoted($0.0) + ":" + Self.quoted($0.1) }.joined(separator: ",")
                + "}\n"
        }
    }

    private static func needsQuotes(_ value: String) -> Bool {
        value.isEmpty || value.unicodeScalars.contains { " \"=\\".unicodeScalars.contains($0) || $0.isUnprintable }
    }

    /// What is not shown could forge lines or move a terminal's cursor.
    private static func clean(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.isUnprintable ? " " : $0 }))
    }

    /// As JSON quotes (RFC 8259 §7), which logfmt readers take too.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.isUnprintable {
                    // Beyond the first 65,536 it takes two of UTF-16.
                    for unit in scalar.utf16 {
                        let digits = String(unit, radix: 16)
                        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                    }
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}

/// Holds back what repeats: five equal lines a minute go out, and how many did not is told with the next.
public struct RepeatLimit: Sendable {
    private struct Entry {
        var began: Double
        var count: Int
        var suppressed: UInt64
    }

    private var entries: [String: Entry] = [:]
    private static let burst = 5
    private static let period = 60.0
    private static let most = 1000

    /// Nothing said yet.
    public init() {}

    /// Whether a line goes out at `now`, in seconds of a steady clock; and how many equal ones did not before it.
    public mutating func admits(_ line: LogLine, at now: Double) -> (isAdmitted: Bool, suppressed: UInt64) {
        let key = line.event + "\0" + line.text
        guard var entry = entries[key], now - entry.began < Self.period, now >= entry.began else {
            let suppressed = entries[key]?.suppressed ?? 0
            if entries.count >= Self.most { entries.removeAll() }
            entries[key] = Entry(began: now, count: 1, suppressed: 0)
            return (true, suppressed)
        }
        entry.count += 1
        let isAdmitted = entry.count <= Self.burst
        if !isAdmitted { entry.suppressed += 1 }
        entries[key] = entry
        return (isAdmitted, 0)
    }
}

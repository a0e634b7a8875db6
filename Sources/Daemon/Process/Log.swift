// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Platform
import Synchronization
public import Telemetry

/// The daemon's log, on standard error: an event a line, in the form that was asked for.
///
/// Never a literal, a password or, unless `privacy.user_names` is `plain`, a user's name.
public enum Log {
    private struct State {
        var level = LogLevel.info
        var format = LogFormat.text
        var repeats = RepeatLimit()
        var isForJournal = false
    }

    private static let state = Mutex(State())

    /// Lines have this form from now on.
    public static func configure(_ level: LogLevel, _ format: LogFormat) {
        let isForJournal = Output.environment("JOURNAL_STREAM") != nil && !Output.isTerminal(2)
        state.withLock { state in
            (state.level, state.format, state.isForJournal) = (level, format, isForJournal)
        }
    }

    static func debug(_ event: String, _ text: String, _ fields: [(name: String, value: String)] = []) {
        write(LogLine(.debug, event, text, fields))
    }

    static func info(_ event: String, _ text: String, _ fields: [(name: String, value: String)] = []) {
        write(LogLine(.info, event, text, fields))
    }

    static func warning(_ event: String, _ text: String, _ fields: [(name: String, value: String)] = []) {
        write(LogLine(.warning, event, text, fields))
    }

    static func error(_ event: String, _ text: String, _ fields: [(name: String, value: String)] = []) {
        write(LogLine(.error, event, text, fields))
    }

    private static func write(_ line: LogLine) {
        let rendered: String? = state.withLock { state in
            guard line.level >= state.level else { return nil }
            let (isAdmitted, suppressed) = state.repeats.admits(line, at: SystemClock.now())
            guard isAdmitted else { return nil }
            var line = line
            if suppressed > 0 { line.fields.append(("suppressed", String(suppressed))) }
            return line.render(state.format, time: SystemClock.time().rfc3339, forJournal: state.isForJournal)
        }
        if let rendered { try? Output.write(Array(rendered.utf8), to: 2) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import SQLiteStore
import Synchronization

/// What became of the daemon's state: which files were set aside, and which cannot be used now.
///
/// Files are named without their folder: that is known from the options, and may be private.
enum StateHealth {
    /// What is told to whoever asks.
    struct Facts: Sendable {
        /// Files set aside since the start, by name.
        var setAside: [String: Int] = [:]
        /// What was lost with them, and what cannot be kept now, by name.
        var problems: [String: String] = [:]
    }

    private static let state = Mutex(Facts())

    static var facts: Facts { state.withLock { $0 } }

    /// What is wrong, a sentence each.
    static var problems: [String] { facts.problems.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" } }

    /// Takes what stores tell of their files.
    static let report = FileReport { event, path in note(event, path) }

    static func note(_ event: FileReport.Event, _ path: String) {
        let name = name(of: path)
        switch event {
        case .setAside(let target, let reason):
            let text = "was damaged and is now \(self.name(of: target)); a new one was made. \(loss(of: name))"
            state.withLock { state in
                state.setAside[name, default: 0] += 1
                state.problems[name] = text
            }
            Log.error("state.set_aside", "\(name) \(text)", [("file", name), ("reason", reason)])
        case .unusable(let reason):
            state.withLock { $0.problems[name] = "cannot be used: \(reason)" }
            Log.warning("state.unusable", "\(name) cannot be used, nothing is kept in it: \(reason)", [("file", name)])
        case .gone:
            state.withLock { $0.problems[name] = "was removed while it was open; a new one is made. \(loss(of: name))" }
            Log.error("state.removed", "\(name) was removed or replaced while it was open.", [("file", name)])
        case .usable:
            // What was lost stays told: a new file does not bring it back.
            state.withLock { state in
                if state.problems[name]?.hasPrefix("cannot be used") == true { state.problems[name] = nil }
            }
        }
    }

    private static func name(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    }

    /// What goes with a file.
    private static func loss(of name: String) -> String {
        switch name {
        case "prices.sqlite": "Prices are a cache: patterns are priced again."
        case "ledger.sqlite":
            "Usage booked before is lost, and with it overrides and resets: windows begin at 0, and limits that rest on "
                + "it are lifted."
        case "history.sqlite": "The audit's lines are still in audit.jsonl."
        case "minutes.sqlite": "Minutes before are missing from reports."
        case "secret": "Users have other hashes from now on: usage booked under the old ones does not count."
        case "node": "This node has another name in the ledger."
        default: ""
        }
    }
}

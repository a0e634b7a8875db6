// SPDX-License-Identifier: Apache-2.0
import SQLiteStore
import Synchronization

/// What became of the daemon's state: which files were set aside, and which cannot be used now.
///
/// Files are named without their folder: that is known from the options, and may be private.
enum StateHealth {
    private static let state = Mutex(FileHealth())

    static var facts: FileHealth { state.withLock { $0 } }

    /// What is wrong, a sentence each.
    static var problems: [String] { facts.problems }

    /// Takes what stores tell of their files.
    static let report = FileReport { event, path in note(event, path) }

    static func note(_ event: FileReport.Event, _ path: String) {
        let name = FileHealth.name(of: path)
        let said = state.withLock { $0.note(event, name, loss: loss(of: name)) }
        guard let said else { return }
        let text = "\(name) \(said)"
        switch event {
        case .setAside(_, let reason): Log.error("state.set_aside", text, [("file", name), ("reason", reason)])
        case .unusable(let reason): Log.warning("state.unusable", text, [("file", name), ("reason", reason)])
        case .overgrown(let reason): Log.warning("state.overgrown", text, [("file", name), ("reason", reason)])
        case .gone: Log.error("state.removed", text, [("file", name)])
        case .usable: break
        }
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

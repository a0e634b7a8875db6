// SPDX-License-Identifier: Apache-2.0
import Quotas
import Reports
import SQLiteStore
import Synchronization

/// Writes down what changed: a line of JSON each, appended to a file, and the same in SQLite for questions.
final class AuditTrail: Sendable {
    private let file: AuditFile?
    private let history: AuditHistory?
    private let recent = Mutex<[AuditEntry]>([])
    /// Entries that could not be written.
    let lost = Atomic<Int>(0)

    private static let mostRecent = 2000

    /// A trail in `folder`; `nil`: in memory only.
    init(folder: String?) {
        guard let folder else {
            (file, history) = (nil, nil)
            return
        }
        file = AuditFile(path: folder + "/audit.jsonl", report: StateHealth.report)
        history = try? AuditHistory(path: folder + "/history.sqlite", isPatient: true, report: StateHealth.report)
    }

    /// Writes entries, each line in one piece.
    func write(_ entries: [AuditEntry]) {
        guard !entries.isEmpty else { return }
        if let file { lost.add(file.append(entries.map(\.line)), ordering: .relaxed) }
        recent.withLock { recent in
            recent += entries
            if recent.count > Self.mostRecent { recent.removeFirst(recent.count - Self.mostRecent) }
        }
        do throws(LedgerError) { try history?.append(entries) } catch { lost.add(entries.count, ordering: .relaxed) }
    }

    /// The last entries of one user, or of all, the oldest first.
    func last(_ count: Int, of user: UserKey?) -> [AuditEntry] {
        do throws(LedgerError) {
            if let history { return try history.last(count, of: user) }
        } catch {}
        return recent.withLock { $0.filter { user == nil || $0.user == user }.suffix(count) }
    }
}

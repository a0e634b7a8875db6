// SPDX-License-Identifier: Apache-2.0
import Glibc
import Quotas
import Reports
import SQLiteStore
import Synchronization

/// Writes down what changed: a line of JSON each, appended to a file, and the same in SQLite for questions.
final class AuditTrail: Sendable {
    private let descriptor: Int32
    private let history: AuditHistory?
    private let recent = Mutex<[AuditEntry]>([])
    /// Entries that could not be written.
    let lost = Atomic<Int>(0)

    private static let mostRecent = 2000

    /// A trail in `folder`; `nil`: in memory only.
    init(folder: String?) {
        guard let folder else {
            (descriptor, history) = (-1, nil)
            return
        }
        descriptor = Self.open(folder + "/audit.jsonl")
        history = try? AuditHistory(path: folder + "/history.sqlite", isPatient: true, report: StateHealth.report)
    }

    /// Opens the file for appending; what is no file is set aside, and -1 where none can be made.
    private static func open(_ path: String) -> Int32 {
        if SetAside.look(at: path) == .other, let target = SetAside.move(path) {
            StateHealth.note(.setAside(target, "it is no regular file"), path)
        }
        let flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK
        let descriptor = unsafe Glibc.open(path, flags, 0o640)
        guard descriptor >= 0 else {
            StateHealth.note(.unusable("the audit is not written: \(Output.message(errno))"), path)
            return -1
        }
        // A line that a crash or a full disk cut ends here: the next one must not be taken for its rest.
        var (last, end) = (UInt8(0), lseek(descriptor, 0, SEEK_END))
        if end > 0, unsafe pread(descriptor, &last, 1, end - 1) == 1, last != 0x0A {
            last = 0x0A
            end = unsafe Glibc.write(descriptor, &last, 1)
        }
        return descriptor
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Writes entries, each line in one piece.
    func write(_ entries: [AuditEntry]) {
        guard !entries.isEmpty else { return }
        if descriptor >= 0 {
            for entry in entries {
                let line = entry.line
                let count = unsafe line.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if count != line.count { lost.add(1, ordering: .relaxed) }
            }
        }
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

// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Lifts limits that nobody renews, with nothing but the file of limits and a signal: no network, no store.
///
/// It runs beside PgBouncer, on its own, each few seconds; and once before PgBouncer starts, as that fails where an
/// included file is missing, and would set limits again that ran out meanwhile.
public struct Guard {
    /// What it found, and did.
    public enum Finding: Equatable, Sendable {
        /// There are limits, and their lease has not run out.
        case fresh(until: Timestamp)
        /// The lease had run out, or it was told to: these users were released.
        case released(users: [String])
        /// There was no file; there is an empty one now.
        case created
        /// Nobody is limited.
        case empty
        /// The file was not as we write it. It was replaced by one that releases all names that were left in it.
        case damaged(users: [String])
    }

    private let file: String
    private let globals: String?
    private let pidFiles: [PidFile]
    /// Whether the file was changed and a PgBouncer could not be told so.
    private var owesSignal = false

    /// A guard of one file of limits, which the PgBouncers of `pidFiles` include.
    ///
    /// `globals`: the file that holds `server_lifetime` while old connections are let go.
    public init(file: String, globals: String? = nil, pidFiles: [String] = []) {
        (self.file, self.globals) = (file, globals)
        self.pidFiles = pidFiles.map(PidFile.init)
    }

    /// Looks once; `release`: all limits end now, whatever their lease.
    ///
    /// - Throws: ``PgBouncerError`` where a file cannot be read or written or a process cannot be told; call it again.
    public mutating func check(now: Timestamp, release: Bool = false) throws(PgBouncerError) -> Finding {
        let finding = try look(now, release)
        // Nothing is to be drained once nobody is limited; a cut-short drain ends here.
        if case .fresh = finding {} else if let globals { try blank(globals) }
        if owesSignal {
            for pidFile in pidFiles { _ = try pidFile.reload() }
            owesSignal = false
        }
        return finding
    }

    /// How many PgBouncers can be told to load their files again, and why not the others.
    public func reach() -> (count: Int, problem: String?) {
        var (count, problem): (Int, String?) = (0, nil)
        for pidFile in pidFiles {
            do throws(PgBouncerError) {
                if try pidFile.process() != nil { count += 1 }
            } catch { problem = error.description }
        }
        return (count, problem)
    }

    private mutating func look(_ now: Timestamp, _ release: Bool) throws(PgBouncerError) -> Finding {
        guard let bytes = try PlainFile.read(file) else {
            try PlainFile.replace(file, with: [])
            owesSignal = true
            return .created
        }
        let reading = IncludeFile.parse(bytes)
        if reading.isBlank { return .empty }
        var file = reading.file
        if reading.damage.isEmpty {
            let users = file.limited
            if users.isEmpty { return .empty }
            if !release, file.isFresh(now) {
                return .fresh(until: Timestamp(nanoseconds: file.expires &* 1_000_000_000))
            }
            try write(&file, now)
            return .released(users: users)
        }
        try write(&file, now)
        return .damaged(users: file.entries.keys.sorted { $0.precedes($1) })
    }

    private mutating func write(_ content: inout IncludeFile, _ now: Timestamp) throws(PgBouncerError) {
        content = content.released()
        // Other than any that pgweir gives, so that it sees that this is not its own.
        content.acknowledgement = "guard_\(max(0, now.nanoseconds / 1_000_000_000))"
        try PlainFile.replace(file, with: content.render())
        owesSignal = true
    }

    private mutating func blank(_ globals: String) throws(PgBouncerError) {
        if try PlainFile.read(globals)?.isEmpty == true { return }
        try PlainFile.replace(globals, with: [])
        owesSignal = true
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What the operator's configuration says about users; our own files in it are left out.
struct OperatorFile {
    /// The lines of `[users]` by name; `nil` for a line that we could not repeat.
    private(set) var users: [String: UserSettings?] = [:]
    /// Users whom `user=` in `[databases]` forces upon clients, and those who ask for passwords.
    private(set) var forced: Set<String> = []
    /// admin_users, stats_users and auth_user.
    private(set) var privileged: Set<String> = []
    /// `max_user_connections` for those without a line; `nil`: no limit.
    private(set) var standard: Int?
    /// Each file that was read, with its state then.
    private(set) var stamps: [String: FileStamp?] = [:]
    /// What could not be read.
    private(set) var problem: String?
    /// Names of settings in lines of `[users]`.
    private(set) var userSettings: Set<String> = []
    /// `server_lifetime`, as it is written; `nil`: PgBouncer's default.
    private(set) var lifetime: String?
    private var included: Set<String> = []
    private let own: Set<String>
    private var section = ""

    /// Reads `path` and what it includes, but for the files of `own`.
    ///
    /// `directory`: PgBouncer's working directory, where relative names of included files begin (PgBouncer documentation,
    /// "Include directive"); `nil`: not known, and they are looked for beside the file.
    init(path: String, own: [String], directory: String? = nil) {
        self.own = Set(own)
        read(path, beside: directory ?? PlainFile.folder(of: path), depth: 0)
    }

    /// Whether it includes a file of ours.
    func includesOwn(_ path: String) -> Bool { included.contains(path) }

    /// Whether a file changed since.
    var isStale: Bool { stamps.contains { FileStamp($0.key) != $0.value } }

    private mutating func read(_ path: String, beside folder: String, depth: Int) {
        let isOwn = own.contains { $0 == path || Self.isSameFile($0, path) }
        // PgBouncer stops at ten levels, too.
        if isOwn { included.formUnion(own.filter { $0 == path || Self.isSameFile($0, path) }) }
        guard !isOwn, depth < 10 else { return }
        stamps[path] = .some(FileStamp(path))
        do throws(PgBouncerError) {
            guard let bytes = try PlainFile.read(path) else {
                problem = problem ?? "there is no file \(path)"
                return
            }
            for line in bytes.split(separator: 0x0A) {
                let line = line.drop { [0x20, 0x09].contains($0) }
                let text = String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
                take(text, folder, depth)
            }
        } catch { problem = problem ?? error.description }
    }

    private mutating func take(_ line: String, _ folder: String, _ depth: Int) {
        switch line.first {
        case nil, ";", "#": return
        case "[": section = String(line.dropFirst().prefix { $0 != "]" })
        case "%":
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count == 2, words[0] == "%include" else { return }
            let path = words[1].first == "/" ? String(words[1]) : "\(folder)/\(words[1])"
            read(path, beside: folder, depth: depth + 1)
        default:
            if section == "users" { return takeUser(line) }
            guard let equals = line.firstIndex(of: "=") else { return }
            let key = line[..<equals].filter { !$0.isWhitespace }
            takeSetting(key, String(line[equals...].dropFirst()))
        }
    }

    private mutating func takeUser(_ line: String) {
        guard let (name, rest) = UserName.read(line[...]) else { return }
        let settings = rest.allSatisfy(\.isWhitespace) ? UserSettings.none : UserSettings(rest)
        users[name] = .some(settings)
        userSettings.formUnion(UserSettings.words(String(rest)).map(\.key))
    }

    private mutating func takeSetting(_ key: String, _ value: String) {
        if section == "databases" {
            for pair in UserSettings.words(value) where pair.key == "user" || pair.key == "auth_user" {
                forced.insert(pair.value)
            }
        } else if section == "pgbouncer" {
            switch key {
            case "admin_users", "stats_users", "auth_user": privileged.formUnion(Self.names(value))
            case "server_lifetime": lifetime = value.filter { !$0.isWhitespace }
            case "max_user_connections":
                standard = Int(value.filter { !$0.isWhitespace }).flatMap { $0 > 0 ? $0 : nil }
            default: break
            }
        }
    }

    /// The names of a list that commas and blanks part.
    static func names(_ list: String) -> Set<String> {
        Set(list.split { $0 == "," || $0.isWhitespace }.map(String.init))
    }

    private static func isSameFile(_ left: String, _ right: String) -> Bool {
        guard let left = FileStamp(left), let right = FileStamp(right) else { return false }
        return left.inode == right.inode && left == right
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Quotas

/// Why the state of roles cannot be kept.
struct RoleStateError: Error, CustomStringConvertible {
    var path: String
    var reason: String
    var description: String { "the file of roles' own limits, \(path): \(reason)" }
}

/// What roles were allowed before we limited them: lines of `limit TAB role`, after one with the end of the lease.
struct RoleState: Equatable {
    /// When the limits end unless they are renewed, in seconds since the epoch.
    var expires: Int64 = 0
    /// The number of the wants that were carried out last: older ones are refused after a restart, too.
    var generation: UInt64 = 0
    /// CONNECTION LIMIT by role; -1: none.
    var before: [String: Int] = [:]

    /// Whether the limits still hold.
    func isFresh(_ second: Int64) -> Bool { Lease.holds(until: expires, at: second) }

    static let header = "pgweir-role-limits 1 "

    static func read(_ path: String) throws(RoleStateError) -> RoleState {
        // A FIFO must not hold this up.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return RoleState() }
            throw RoleStateError(path: path, reason: text(errno))
        }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw RoleStateError(path: path, reason: "it is no regular file")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < 64 << 20 {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw RoleStateError(path: path, reason: text(errno)) }
            if count == 0 { break }
            bytes += buffer.prefix(count)
        }
        // One that was written has a head and an end: an empty one has lost what roles were allowed before.
        guard !bytes.isEmpty, let state = RoleState(String(decoding: bytes, as: UTF8.self))
        else {
            throw RoleStateError(path: path, reason: "it is damaged; look at pg_roles.rolconnlimit, then remove it")
        }
        return state
    }

    init() {}

    /// Reads a file's text; `nil` for any other text, and for one that was cut.
    init?(_ text: String) {
        guard !text.isEmpty else { return }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3, let head = lines.first, head.hasPrefix(Self.header), lines.last == "",
            lines[lines.count - 2] == "end"
        else { return nil }
        // Files of before 2026-12 have no generation.
        let numbers = head.dropFirst(Self.header.count).split(separator: " ", omittingEmptySubsequences: false)
        guard (1...2).contains(numbers.count), let expires = Int64(numbers[0]),
            let generation = numbers.count == 2 ? UInt64(numbers[1]) : 0
        else { return nil }
        (self.expires, self.generation) = (expires, generation)
        for line in lines.dropFirst().dropLast(2) {
            let fields = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
            guard fields.count == 2, let limit = Int(fields[0]), limit >= -1, let name = Self.decode(fields[1]) else {
                return nil
            }
            before[name] = limit
        }
    }

    var text: String {
        let lines = before.sorted { $0.key < $1.key }.map { "\($0.value)\t\(Self.encode($0.key))" }
        return (["\(Self.header)\(expires) \(generation)"] + lines + ["end", ""]).joined(separator: "\n")
    }

    func write(_ path: String) throws(RoleStateError) {
        let draft = path + ".new"
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw RoleStateError(path: path, reason: Self.text(errno)) }
        let bytes = Array(text.utf8)
        let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        let isKept = count == bytes.count && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isKept, unsafe rename(draft, path) == 0 else {
            throw RoleStateError(path: path, reason: Self.text(isKept ? errno : code))
        }
        // The new name must survive a power failure as well: a limit is set only once what was before is safe.
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let place = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard place >= 0 else { return }
        fsync(place)
        close(place)
    }

    /// Names may hold anything but NUL: line ends and backslashes are escaped.
    private static func encode(_ name: String) -> String {
        name.unicodeScalars.map { $0 == "\n" ? "\\n" : $0 == "\\" ? "\\\\" : String($0) }.joined()
    }

    private static func decode(_ text: Substring) -> String? {
        var name = ""
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "\\" else {
                name.unicodeScalars.append(scalar)
                continue
            }
            switch rest.popFirst() {
            case "n": name += "\n"
            case "\\": name += "\\"
            default: return nil
            }
        }
        return name
    }

    private static func text(_ code: Int32) -> String {
        SystemError.text(code)
    }
}

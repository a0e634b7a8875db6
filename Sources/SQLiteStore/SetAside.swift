// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Platform

/// Moves files that cannot be used out of the way, as `NAME.damaged-TIME` beside the old place, so that a new one can be
/// made and somebody can look at the old one.
public enum SetAside {
    /// Of each file so many are kept, the newest; older ones are deleted, so that they do not fill the disk.
    public static let kept = 3

    private static let mark = ".damaged-"

    /// What stands at a path.
    public enum Place: Sendable, Equatable {
        /// Nothing.
        case free
        /// A regular file, or a symbolic link to one.
        case file
        /// A directory, a FIFO, a device, or a symbolic link that leads nowhere.
        case other
    }

    /// What stands at `path`; opens nothing, so that a FIFO cannot hold it up.
    public static func look(at path: String) -> Place {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return .free }
        guard unsafe stat(path, &status) == 0 else { return .other }
        return status.st_mode & S_IFMT == S_IFREG ? .file : .other
    }

    /// Moves the file and those that SQLite keeps beside it; the new path, or `nil` if the folder does not let it.
    public static func move(_ path: String) -> String? {
        let target = path + mark + stamp()
        guard unsafe rename(path, target) == 0 else { return nil }
        for suffix in ["-wal", "-shm", "-journal"] { _ = unsafe rename(path + suffix, target + suffix) }
        prune(path)
        return target
    }

    /// UTC without signs that names of files should not have, such as `20260131T235959.123456Z`: sorted by name they are
    /// sorted by time.
    private static func stamp() -> String {
        SystemClock.time().rfc3339.filter { $0 != "-" && $0 != ":" }
    }

    /// Deletes all but the newest.
    private static func prune(_ path: String) {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = String(slash.map { path[path.index(after: $0)...] } ?? path[...])
        let old = names(in: folder).filter { $0.hasPrefix(name + mark) }
        let files = old.filter { !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") && !$0.hasSuffix("-journal") }.sorted()
        for file in files.dropLast(kept) {
            for suffix in ["", "-wal", "-shm", "-journal"] {
                let victim = "\(folder)/\(file)\(suffix)"
                // A folder that is not empty stays: what is in it is not ours.
                if unsafe unlink(victim) != 0 { _ = unsafe rmdir(victim) }
            }
        }
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            names.append(name)
        }
        return names
    }
}

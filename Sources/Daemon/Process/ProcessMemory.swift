// SPDX-License-Identifier: Apache-2.0
import Glibc
public import Pipeline

extension MemoryBudget {
    /// What this process may take that was told nothing.
    public static var ofThisProcess: MemoryBudget { MemoryBudget(controlGroup: ProcessMemory.controlGroupLimit()) }
}

/// What memory this process takes and may take (Linux: proc(5), cgroups(7)).
enum ProcessMemory {
    /// Resident bytes; 0: not known.
    static var resident: Int {
        guard let text = try? TextFile.read("/proc/self/statm") else { return 0 }
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * max(0, sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The least limit of the process's control group and those above it, in bytes; `nil`: there is none.
    ///
    /// - Parameter root: where proc(5) and the file systems of control groups are, for tests.
    static func controlGroupLimit(root: String = "") -> Int? {
        guard let groups = try? TextFile.read(root + "/proc/self/cgroup") else { return nil }
        var least: Int?
        for line in groups.split(separator: "\n") {
            // hierarchy:controllers:path; version 2 has no controllers.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isSecond = fields[1].isEmpty
            guard isSecond || fields[1].split(separator: ",").contains("memory") else { continue }
            let folder = root + (isSecond ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory")
            let file = isSecond ? "/memory.max" : "/memory.limit_in_bytes"
            var path = fields[2]
            while true {
                let place = path == "/" ? "" : String(path)
                if let limit = number(folder + place + file) { least = min(least ?? limit, limit) }
                guard let slash = path.lastIndex(of: "/"), path != "/" else { break }
                path = slash == path.startIndex ? "/" : path[..<slash]
            }
        }
        return least
    }

    /// The number in a file; `nil`: there is none, or one so large that it stands for none.
    private static func number(_ path: String) -> Int? {
        guard let text = try? TextFile.read(path), let first = text.split(whereSeparator: \.isWhitespace).first,
            let number = Int(first), number > 0, number < 1 << 50
        else { return nil }
        return number
    }
}

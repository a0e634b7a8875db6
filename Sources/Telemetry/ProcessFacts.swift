// SPDX-License-Identifier: Apache-2.0
import Glibc

/// This process as the kernel sees it (proc(5)): the metrics that every Prometheus client has.
public struct ProcessFacts: Sendable {
    /// CPU time of all threads, in seconds.
    public var cpu = 0.0
    /// Resident and virtual memory, in bytes.
    public var resident = 0.0, virtual = 0.0
    /// Open files, and how many there may be.
    public var files = 0.0, mostFiles = 0.0
    /// When the process began, in seconds since the epoch.
    public var began = 0.0
    /// Its threads.
    public var threads = 0.0

    /// As of now; what cannot be read is 0.
    public init() {
        let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        // The name in brackets may hold blanks; what counts stands behind it.
        let fields = (Self.text("/proc/self/stat").split(separator: ")").last ?? "").split(separator: " ")
        func field(_ number: Int) -> Double {
            let index = number - 3
            return fields.indices.contains(index) ? Double(fields[index]) ?? 0 : 0
        }
        cpu = (field(14) + field(15)) / ticks
        threads = field(20)
        virtual = field(23)
        resident = field(24) * Double(max(1, sysconf(Int32(_SC_PAGESIZE))))
        let boot = Self.text("/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }
        began = (boot.flatMap { Double($0.dropFirst(6)) } ?? 0) + field(22) / ticks
        files = Double(Self.count("/proc/self/fd"))
        var limit = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(7), &limit) == 0 { mostFiles = Double(limit.rlim_cur) }
    }

    /// Adds them to a text.
    public func write(_ text: inout MetricsText) {
        text.counter("process_cpu_seconds", "CPU time of the process, user and system.", cpu)
        text.gauge("process_resident_memory_bytes", "Resident memory.", resident)
        text.gauge("process_virtual_memory_bytes", "Virtual memory.", virtual)
        // A daemon that no one may look into may not count its own.
        if files > 0 { text.gauge("process_open_fds", "Open file descriptors.", files) }
        text.gauge("process_max_fds", "The most file descriptors.", mostFiles)
        text.gauge("process_start_time_seconds", "When the process began, since the epoch.", began)
        text.gauge("process_threads", "Threads of the process.", threads)
    }

    private static func text(_ path: String) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < 1 << 20 {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func count(_ path: String) -> Int {
        guard let folder = unsafe opendir(path) else { return 0 }
        defer { unsafe closedir(folder) }
        var count = -3  // itself, `.` and `..`
        while unsafe readdir(folder) != nil { count += 1 }
        return max(0, count)
    }
}

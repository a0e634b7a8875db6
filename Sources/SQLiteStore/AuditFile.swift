// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization

/// The audit as a file of lines, each appended in one piece.
///
/// A file that has grown is renamed to `NAME.1`, that one to `NAME.2` and so on; the oldest of ``kept`` goes. A file that somebody
/// else moved or removed, as logrotate does, is left alone, and a new one is begun at the path. Several processes may append to one.
public final class AuditFile: Sendable {
    /// The most bytes of a file, unless one line has more.
    public static let largest: Int64 = 64 << 20
    /// Renamed files that are kept.
    public static let kept = 4

    private struct Opened {
        var descriptor: Int32
        var device: UInt64, inode: UInt64
        /// Its last line was cut, by a full disk.
        var isCut = false
    }

    private struct State {
        var opened: Opened?
        /// What was told last.
        var problem: FileReport.Event?
    }

    private let path: String
    private let largest: Int64
    private let kept: Int
    private let report: FileReport
    private let state = Mutex(State())

    /// A file at `path`, which is opened now and, where that fails, with each line.
    public init(
        path: String,
        largest: Int64 = AuditFile.largest,
        kept: Int = AuditFile.kept,
        report: FileReport = .none
    ) {
        (self.path, self.largest, self.kept, self.report) = (path, largest, kept, report)
        state.withLock { _ = isReady(&$0) }
    }

    deinit { state.withLock { close(&$0) } }

    /// Appends lines, which have their line ends; returns how many could not be written.
    public func append(_ lines: [[UInt8]]) -> Int {
        state.withLock { state in lines.count { !write($0, &state) } }
    }

    private func write(_ line: [UInt8], _ state: inout State) -> Bool {
        guard isReady(&state) else { return false }
        if let opened = state.opened, let size = Self.size(opened.descriptor), size > 0,
            size > largest - Int64(line.count)
        {
            rotate(&state)
        }
        guard let opened = state.opened else { return false }
        let bytes = opened.isCut ? [0x0A] + line : line
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.write(opened.descriptor, $0.baseAddress, $0.count)
        }
        // A second line must not be taken for the rest of the first.
        state.opened?.isCut = count != bytes.count && (count > 0 || opened.isCut)
        return count == bytes.count
    }

    // MARK: Opening

    /// Sees to it that the file at the path is open.
    private func isReady(_ state: inout State) -> Bool {
        if let opened = state.opened {
            if Self.identity(path).map({ $0 == (opened.device, opened.inode) }) == true { return true }
            close(&state)
        }
        return open(&state)
    }

    private func open(_ state: inout State) -> Bool {
        if SetAside.look(at: path) == .other, let target = SetAside.move(path) {
            report.note(.setAside(target, "it is no regular file"), path)
        }
        let flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK
        let descriptor = unsafe Glibc.open(path, flags, 0o640)
        var status = stat()
        guard descriptor >= 0, unsafe fstat(descriptor, &status) == 0 else {
            tell(.unusable("the audit is not written: \(Self.text(errno))"), &state)
            return false
        }
        state.opened = Opened(
            descriptor: descriptor,
            device: UInt64(status.st_dev),
            inode: UInt64(status.st_ino)
        )
        if case .unusable = state.problem { tell(.usable, &state) }
        // A line that a crash or a full disk cut ends here.
        var last = UInt8(0)
        if status.st_size > 0, unsafe pread(descriptor, &last, 1, status.st_size - 1) == 1, last != 0x0A {
            state.opened?.isCut = true
        }
        return true
    }

    private func close(_ state: inout State) {
        if let opened = state.opened { Glibc.close(opened.descriptor) }
        state.opened = nil
    }

    // MARK: Rotation

    /// Renames the file and begins another one; where that cannot be, the old one grows, which is told.
    private func rotate(_ state: inout State) {
        guard let opened = state.opened else { return }
        // Another process may be about to do the same; the lock ends with the descriptor.
        guard flock(opened.descriptor, LOCK_EX | LOCK_NB) == 0 else { return }
        defer { if let opened = state.opened { flock(opened.descriptor, LOCK_UN) } }
        guard Self.identity(path).map({ $0 == (opened.device, opened.inode) }) == true else {
            _ = isReady(&state)
            return
        }
        for number in stride(from: kept - 1, through: 1, by: -1) {
            _ = unsafe rename("\(path).\(number)", "\(path).\(number + 1)")
        }
        guard unsafe rename(path, "\(path).1") == 0 else {
            return tell(.overgrown(Self.text(errno)), &state)
        }
        if case .overgrown = state.problem { tell(.usable, &state) }
        close(&state)
        _ = open(&state)
    }

    /// Tells what has changed.
    private func tell(_ event: FileReport.Event, _ state: inout State) {
        guard state.problem != event else { return }
        state.problem = event == .usable ? nil : event
        report.note(event, path)
    }

    private static func identity(_ path: String) -> (UInt64, UInt64)? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return (UInt64(status.st_dev), UInt64(status.st_ino))
    }

    private static func size(_ descriptor: Int32) -> Int64? {
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 ? Int64(status.st_size) : nil
    }

    private static func text(_ code: Int32) -> String {
        SystemError.text(code)
    }
}

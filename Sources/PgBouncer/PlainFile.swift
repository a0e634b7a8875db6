// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// Which content a file has, without reading it.
struct FileStamp: Equatable {
    let inode: UInt64, size: Int64, seconds: Int64, nanoseconds: Int64

    /// `nil`: there is no such file.
    init?(_ path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        (inode, size) = (UInt64(status.st_ino), Int64(status.st_size))
        (seconds, nanoseconds) = (Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec))
    }
}

/// Small files, read and replaced as a whole.
enum PlainFile {
    /// No file of ours is longer.
    static let longest = 64 << 20

    /// The bytes of a file; `nil`: there is none.
    static func read(_ path: String) throws(PgBouncerError) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw .cannotRead(path: path, reason: SystemError.text(errno))
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= longest {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .cannotRead(path: path, reason: SystemError.text(errno)) }
            if count == 0 { return bytes }
            bytes += buffer.prefix(count)
        }
        throw .cannotRead(path: path, reason: "longer than \(longest) bytes")
    }

    /// Replaces a file: others see the old one or the new one, after a power failure, too.
    ///
    /// Owner and group stay those of the old file, or are those of the folder, where we may give them.
    static func replace(_ path: String, with bytes: [UInt8]) throws(PgBouncerError) {
        let folder = Self.folder(of: path)
        let draft = "\(path).pgweir-\(getpid())"
        unsafe unlink(draft)
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .cannotWrite(path: path, reason: SystemError.text(errno)) }
        var status = stat()
        if unsafe stat(path, &status) == 0 || stat(folder, &status) == 0 {
            if fchown(descriptor, status.st_uid, status.st_gid) < 0 { _ = fchown(descriptor, uid_t.max, status.st_gid) }
        }
        let isWritten = fchmod(descriptor, 0o640) == 0 && write(bytes, to: descriptor) && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isWritten else {
            unsafe unlink(draft)
            throw .cannotWrite(path: path, reason: SystemError.text(code))
        }
        guard unsafe rename(draft, path) == 0 else {
            let code = errno
            unsafe unlink(draft)
            throw .cannotWrite(path: path, reason: SystemError.text(code))
        }
        let place = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard place >= 0 else { return }
        fsync(place)
        close(place)
    }

    /// The folder that a file is in.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = unsafe bytes[offset...].withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }
}

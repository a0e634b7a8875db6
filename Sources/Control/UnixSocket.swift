// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// A stream socket of unix(7): the few calls of it that the daemon and its commands need.
struct UnixSocket: ~Copyable {
    let descriptor: Int32

    init?() {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
    }

    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    static func address(_ path: String) throws(ControlError) -> UnixAddress {
        guard let address = UnixAddress(path: path) else { throw .pathTooLong(path: path) }
        return address
    }

    /// Who is at the other end, as the kernel knows it (unix(7), SO_PEERCRED), such as `uid 1000, pid 4711`.
    static func peer(of descriptor: Int32) -> String {
        var credentials: [Int32] = [-1, -1, -1]
        var size = socklen_t(12)
        guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0, size == 12 else {
            return "unknown"
        }
        return "uid \(UInt32(bitPattern: credentials[1])), pid \(credentials[0])"
    }

    /// No read or write takes longer than so many seconds.
    func limit(seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    /// Sends all of `bytes`; false when the other side went away or does not read.
    func send(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let start = offset
            let count = unsafe bytes.withUnsafeBytes { buffer in
                // In range: `start` is below the count.
                unsafe Glibc.send(
                    descriptor,
                    buffer.baseAddress.map { unsafe $0 + start },
                    buffer.count - start,
                    Int32(MSG_NOSIGNAL)
                )
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }

    /// Reads up to the end, to a line feed if `isLine`, or to `limit` bytes; `nil` on an error or when time is up.
    func receive(limit: Int, isLine: Bool) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes += buffer.prefix(count)
            if isLine, buffer.prefix(count).contains(0x0A) { break }
        }
        return bytes
    }
}

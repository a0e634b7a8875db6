// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The address of a Unix socket (unix(7)): a path, or a name that is in no file system.
public struct UnixAddress: Sendable {
    /// A `sockaddr_un` as far as it is used.
    public let bytes: [UInt8]

    /// Bytes of a path or a name, the zero behind the one or before the other included.
    private static let most = 108
    private static let head = MemoryLayout<sa_family_t>.size

    /// A path of a file system; `nil` if it is too long, and `errno` says so.
    public init?(path: String) {
        let name = Array(path.utf8)
        guard !name.isEmpty, name.count < Self.most, !name.contains(0) else {
            errno = name.count < Self.most ? EINVAL : ENAMETOOLONG
            return nil
        }
        bytes = Self.family + name + [0]
    }

    /// A name of the network namespace; `nil` if it is too long.
    public init?(abstract name: [UInt8]) {
        guard name.count < Self.most else { return nil }
        bytes = Self.family + [0] + name
    }

    private static var family: [UInt8] {
        var family = sa_family_t(AF_UNIX)
        return unsafe withUnsafeBytes(of: &family) { unsafe Array($0) }
    }

    /// Gives a socket this address; false: `errno` says why not.
    public func bind(_ descriptor: Int32) -> Bool { unsafe call { unsafe Glibc.bind(descriptor, $0, $1) } == 0 }

    /// Connects a socket to this address; false: `errno` says why not.
    public func connect(_ descriptor: Int32) -> Bool {
        unsafe call { unsafe Glibc.connect(descriptor, $0, $1) } == 0
    }

    /// Sends a datagram to this address; false: `errno` says why not.
    public func send(_ message: [UInt8], from descriptor: Int32) -> Bool {
        unsafe call { unsafe Int32(clamping: sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0, $1)) }
            >= 0
    }

    private func call(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        unsafe withUnsafeMutableBytes(of: &address) { place in
            // In range: no longer than the path's room, which is the rest of the structure.
            for (index, byte) in bytes.enumerated() { unsafe place[index] = byte }
        }
        return unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(bytes.count))
            }
        }
    }
}

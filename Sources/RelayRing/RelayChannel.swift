// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc
import Platform

/// One end of the socket between relay and daemon: short messages, and descriptors with them (unix(7), SCM_RIGHTS).
///
/// Who connects says one of: `status`, `attach`, `takeover`. The relay answers `status` with its JSON; `attach` with
/// `rings N ports P,P` and 3 × N descriptors, and later perhaps `handover`; `takeover` with `listeners N` and N descriptors, and
/// waits for `serving`; anything it will not do with `error: ` and the reason. The end of the connection detaches.
public final class RelayChannel: Sendable {
    /// What to wait for.
    public let descriptor: Int32

    /// Takes a connected socket of the type SOCK_SEQPACKET.
    public init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// A message, and the descriptors that came with it: those that nobody takes are closed at its end.
    public final class Message {
        /// Its text.
        public let text: String
        /// Descriptors that came with it and were not taken.
        public private(set) var descriptors: [Int32]

        fileprivate init(text: String, descriptors: [Int32]) { (self.text, self.descriptors) = (text, descriptors) }

        deinit { for descriptor in descriptors { close(descriptor) } }

        /// Hands the descriptors over; whoever takes them closes them.
        public func takeDescriptors() -> [Int32] {
            defer { descriptors = [] }
            return descriptors
        }
    }

    /// The most descriptors that one message carries (SCM_MAX_FD).
    public static let mostDescriptors = 253
    /// The most bytes of a message.
    public static let mostBytes = 128 << 10

    /// Connects to the relay whose control socket is at `path`; `nil` when nobody listens there.
    ///
    /// - Parameter patience: how long it may take to send and to receive, in milliseconds.
    public static func connect(to path: String, patience: Int = 5000) -> RelayChannel? {
        guard let address = UnixAddress(path: path) else { return nil }
        let descriptor = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        guard address.connect(descriptor) else {
            close(descriptor)
            return nil
        }
        var time = timeval(tv_sec: patience / 1000, tv_usec: patience % 1000 * 1000)
        let size = socklen_t(MemoryLayout<timeval>.size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
        return RelayChannel(descriptor: descriptor)
    }

    /// Listens at `path`, in the place of whoever listened there before; only the own user may connect.
    public static func listen(at path: String) -> Int32? {
        let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        // Bound under another name first: there is no moment at which nobody listens.
        let passing = path + "." + String(getpid())
        guard let address = UnixAddress(path: passing) else { return nil }
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return nil }
        unsafe unlink(passing)
        let mask = umask(0o177)
        let isBound = address.bind(descriptor)
        umask(mask)
        guard isBound, Glibc.listen(descriptor, 16) == 0, unsafe rename(passing, path) == 0 else {
            let code = errno
            unsafe unlink(passing)
            close(descriptor)
            errno = code
            return nil
        }
        return descriptor
    }

    /// Sends a message; false when the other side is gone or does not read.
    public func send(_ text: String, _ descriptors: [Int32] = []) -> Bool {
        let bytes = Array(text.utf8)
        guard descriptors.count <= Self.mostDescriptors, bytes.count <= Self.mostBytes else { return false }
        let payload = descriptors.count * MemoryLayout<Int32>.size
        var control = [UInt8](repeating: 0, count: payload == 0 ? 0 : (Self.head + payload + 7) & ~7)
        unsafe control.withUnsafeMutableBytes { place in
            guard place.count > Self.head else { return }
            // In range: the head of 16 bytes and the descriptors are what was asked for.
            unsafe place.storeBytes(of: Self.head + payload, as: Int.self)
            unsafe place.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
            unsafe place.storeBytes(of: Int32(SCM_RIGHTS), toByteOffset: 12, as: Int32.self)
            for (index, number) in descriptors.enumerated() {
                unsafe place.storeBytes(of: number, toByteOffset: Self.head + 4 * index, as: Int32.self)
            }
        }
        return unsafe bytes.withUnsafeBytes { text in
            unsafe control.withUnsafeMutableBytes { control in
                var part = unsafe iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: text.baseAddress),
                    iov_len: text.count
                )
                var message = unsafe msghdr()
                return unsafe withUnsafeMutablePointer(to: &part) { part in
                    unsafe message.msg_iov = unsafe part
                    unsafe message.msg_iovlen = 1
                    unsafe message.msg_control = control.baseAddress
                    unsafe message.msg_controllen = control.count
                    return unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL)) == text.count
                }
            }
        }
    }

    /// The next message; `nil` at the end of the connection, on an error, or, where the socket does not wait, if there is
    /// none (then ``isOver`` is false).
    public func receive() -> Message? {
        var bytes = [UInt8](repeating: 0, count: Self.mostBytes)
        var control = [UInt8](repeating: 0, count: Self.head + 4 * Self.mostDescriptors + 4)
        var used = 0
        let count = unsafe bytes.withUnsafeMutableBytes { text in
            unsafe control.withUnsafeMutableBytes { control -> Int in
                var part = unsafe iovec(iov_base: text.baseAddress, iov_len: text.count)
                var message = unsafe msghdr()
                return unsafe withUnsafeMutablePointer(to: &part) { part in
                    unsafe message.msg_iov = unsafe part
                    unsafe message.msg_iovlen = 1
                    unsafe message.msg_control = control.baseAddress
                    unsafe message.msg_controllen = control.count
                    var count = -1
                    repeat {
                        count = unsafe recvmsg(descriptor, &message, Int32(MSG_CMSG_CLOEXEC))
                    } while count < 0 && errno == EINTR
                    used = unsafe min(Int(message.msg_controllen), control.count)
                    return count
                }
            }
        }
        guard count >= 0 else { return nil }
        let message = Message(
            text: String(decoding: bytes.prefix(count), as: UTF8.self),
            descriptors: Self.descriptors(in: control, used)
        )
        // Without a byte it is the end, and may have descriptors all the same.
        return count > 0 ? message : nil
    }

    /// Whether the other side is gone, as far as can be told without waiting.
    public var isOver: Bool {
        var place: UInt8 = 0
        let flags = Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)
        let count = unsafe recv(descriptor, &place, 1, flags)
        return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
    }

    /// The head of a control message: its length (8 bytes), level and type.
    private static let head = 16

    private static func descriptors(in control: [UInt8], _ used: Int) -> [Int32] {
        let bytes = control.rawSpan
        guard used >= head, bytes.littleEndian32(at: 8) == UInt32(SOL_SOCKET) else { return [] }
        let end = min(used, Int(bytes.littleEndian32(at: 0)))
        return stride(from: head, through: end - 4, by: 4).map { Int32(bitPattern: bytes.littleEndian32(at: $0)) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Domain
import Glibc
import Platform

/// The socket calls of the relay, without Swift around them that costs anything.
enum Socket {
    /// What a call that moves bytes came to; counts are positive, so these are not.
    enum Outcome {
        /// The peer sends no more.
        static let end = 0
        /// Nothing can be moved now.
        static let again = -1
        /// The connection is broken.
        static let failed = -2
    }

    @inline(__always)
    static func receive(_ descriptor: Int32, _ place: UnsafeMutableRawPointer, _ count: Int) -> Int {
        let result = unsafe recv(descriptor, place, count, 0)
        return result >= 0 ? result : outcome(errno)
    }

    @inline(__always)
    static func send(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        let result = unsafe Glibc.send(descriptor, bytes, count, Int32(MSG_NOSIGNAL))
        return result >= 0 ? result : outcome(errno)
    }

    private static func outcome(_ code: Int32) -> Int {
        code == EAGAIN || code == EINTR ? Outcome.again : Outcome.failed
    }

    /// Sends some bytes at once, or not at all: for messages that fit into an empty buffer.
    static func send(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
        unsafe bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return true }
            return unsafe send(descriptor, base, buffer.count) == buffer.count
        }
    }

    /// The bytes that are there, without taking them; `nil`: an error.
    static func peek(_ descriptor: Int32, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let flags = Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)
        let result = unsafe recv(descriptor, &bytes, count, flags)
        if result < 0 { return errno == EAGAIN || errno == EINTR ? [] : nil }
        return Array(bytes.prefix(result))
    }

    /// Takes bytes that were looked at.
    static func skip(_ descriptor: Int32, _ count: Int) {
        var bytes = [UInt8](repeating: 0, count: count)
        _ = unsafe recv(descriptor, &bytes, count, Int32(MSG_DONTWAIT))
    }

    /// Throws if somebody listens at an address: SO_REUSEPORT would have us share connections with another relay.
    static func probe(_ address: SocketAddress) throws(RelayError) { close(try listen(address, shares: false)) }

    /// A listening socket, one of several at its address (SO_REUSEPORT).
    static func listen(_ address: SocketAddress, shares: Bool = true) throws(RelayError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw .system(what: "socket", code: errno) }
        set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if shares { set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
        if address.family == AF_INET6 { set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        guard unsafe address.with({ unsafe bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 4096) == 0 else {
            let code = errno
            close(descriptor)
            throw .system(what: "--listen \(address.text)", code: code)
        }
        prepareListener(descriptor)
        return descriptor
    }

    /// What accepted connections inherit: no delay for small messages, and probes, since the kernel here answers those
    /// of either end.
    static func prepareListener(_ descriptor: Int32) {
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        prepare(descriptor)
    }

    /// TCP_NODELAY and keep-alive probes: a vanished peer is noticed after two minutes.
    static func prepare(_ descriptor: Int32) {
        let tcp = Int32(IPPROTO_TCP)
        set(descriptor, tcp, TCP_NODELAY, 1)
        set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
        set(descriptor, tcp, TCP_KEEPIDLE, 60)
        set(descriptor, tcp, TCP_KEEPINTVL, 10)
        set(descriptor, tcp, TCP_KEEPCNT, 6)
    }

    /// A connection on its way; negative: the error, negated.
    static func connect(_ address: SocketAddress, mark: UInt32) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { return -errno }
        prepare(descriptor)
        if mark != 0 { set(descriptor, SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)) }
        guard unsafe address.with({ unsafe Glibc.connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS else {
            let code = errno
            close(descriptor)
            return -code
        }
        return descriptor
    }

    /// Ends a connection by a reset: what the other side did.
    static func reset(_ descriptor: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        _ = unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// An option's value; `nil`: it has none.
    static func get(_ descriptor: Int32, _ level: Int32, _ option: Int32) -> Int32? {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return unsafe getsockopt(descriptor, level, option, &value, &size) == 0 ? value : nil
    }

    /// The error that a socket holds; it is forgotten by being asked.
    static func pendingError(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0 else { return errno }
        return code
    }

    enum End { case local, remote }

    /// One end of a connection.
    static func address(_ descriptor: Int32, _ end: End) -> SocketAddress? {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let code = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                end == .local
                    ? unsafe getsockname(descriptor, place, &size) : unsafe getpeername(descriptor, place, &size)
            }
        }
        return code == 0 ? SocketAddress(storage) : nil
    }

    /// Where a connection was going before netfilter's REDIRECT brought it here; `nil`: it came by itself.
    static func originalDestination(_ descriptor: Int32) -> SocketAddress? {
        guard let here = address(descriptor, .local) else { return nil }
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let level = here.isIPv4 ? Int32(IPPROTO_IP) : Int32(IPPROTO_IPV6)
        guard unsafe getsockopt(descriptor, level, linux_original_destination, &storage, &size) == 0,
            let there = SocketAddress(storage), there.endpoint != here.endpoint
        else { return nil }
        return there
    }

    /// Whether the next byte is the urgent one (RFC 9293 §3.8.5).
    static func isAtMark(_ descriptor: Int32) -> Bool { sockatmark(descriptor) == 1 }

    /// Takes the urgent byte.
    static func receiveUrgent(_ descriptor: Int32) -> UInt8? {
        var byte: UInt8 = 0
        return unsafe recv(descriptor, &byte, 1, Int32(MSG_OOB)) == 1 ? byte : nil
    }

    static func sendUrgent(_ descriptor: Int32, _ byte: UInt8) {
        var byte = byte
        let flags = Int32(MSG_OOB) | Int32(MSG_NOSIGNAL)
        _ = unsafe Glibc.send(descriptor, &byte, 1, flags)
    }

    static func message(_ code: Int32) -> String {
        SystemError.text(code)
    }
}

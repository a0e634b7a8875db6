// SPDX-License-Identifier: Apache-2.0
import CHiredis
import Glibc
import Platform

/// Why a connection is of no more use.
struct LinkFailure: Error {
    let reason: String
    /// Whether the server sent what is no reply.
    var isMalformed = false
}

/// A connection that never waits: our socket in a context of hiredis, for one thread.
///
/// hiredis's own connecting would wait for name servers and its socket would be inherited by programs we start.
@safe final class Link {
    private let library: Hiredis
    private let context: Hiredis.Context
    let descriptor: Int32
    /// Whether a part of what was appended has not been written.
    private(set) var isWaitingToWrite = false
    private var sinceReply = 0

    /// hiredis closes the socket.
    deinit { unsafe library.free(context) }

    /// Begins to connect.
    init(to address: Address) throws(LinkFailure) {
        guard let library = Hiredis.shared else { throw LinkFailure(reason: RedisError.libraryMissing.description) }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        var descriptor = socket(address.family, kind, 0)
        if (0...2).contains(descriptor) {
            // hiredis never closes descriptor 0, and nobody's standard error should be a server.
            let higher = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            close(descriptor)
            descriptor = higher
        }
        guard descriptor >= 0 else { throw LinkFailure(reason: SystemError.text(errno)) }
        guard let context = unsafe library.adopt(descriptor) else {
            close(descriptor)
            throw LinkFailure(reason: "out of memory")
        }
        self.library = library
        self.descriptor = descriptor
        unsafe self.context = context
        unsafe context.pointee.flags &= ~REDIS_BLOCK
        unsafe context.pointee.reader.pointee.fn = library.functions
        if address.family != AF_UNIX { setUp() }
        let code = unsafe address.bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return Int32(-1) }
            return unsafe connect(descriptor, start.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        // A Unix socket whose queue is full says EAGAIN; then it is as good as not there.
        guard code == 0 || errno == EINPROGRESS else { throw LinkFailure(reason: SystemError.text(errno)) }
    }

    /// What became of connecting; 0: it is done.
    var connectError: Int32 {
        var (code, size) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        return unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno
    }

    private func setUp() {
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        _ = unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, size)
    }

    /// Puts encoded commands behind what is to be written.
    func append(_ bytes: [UInt8]) throws(LinkFailure) {
        let code = unsafe bytes.withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress else { return REDIS_OK }
            return unsafe library.append(context, start.assumingMemoryBound(to: CChar.self), buffer.count)
        }
        guard code == REDIS_OK else { throw failure() }
        isWaitingToWrite = true
    }

    /// Writes as much as the socket takes.
    func write() throws(LinkFailure) {
        var isDone: Int32 = 0
        guard unsafe library.write(context, &isDone) == REDIS_OK else { throw failure() }
        isWaitingToWrite = isDone == 0
    }

    /// Reads what is there, 16 KiB at most; whether there may be more.
    func read() throws(LinkFailure) -> Bool {
        let before = unsafe context.pointee.reader.pointee.len
        guard unsafe library.read(context) == REDIS_OK else { throw failure() }
        let count = unsafe context.pointee.reader.pointee.len &- before
        sinceReply &+= count
        guard sinceReply <= ReplyLimits.bytes else {
            throw LinkFailure(reason: "a reply of more than \(ReplyLimits.bytes) bytes", isMalformed: true)
        }
        return count >= 16_384
    }

    /// The next reply that has come as a whole; `nil` if none has.
    func nextReply() throws(LinkFailure) -> RedisReply? {
        var object: UnsafeMutableRawPointer?
        guard unsafe library.reply(context, &object) == REDIS_OK else { throw failure() }
        guard let object = unsafe object else { return nil }
        defer { unsafe library.freeReply(object) }
        // What follows in the buffer belongs to the next.
        sinceReply = unsafe max(0, context.pointee.reader.pointee.len &- context.pointee.reader.pointee.pos)
        guard let reply = unsafe Self.copy(object.assumingMemoryBound(to: redisReply.self), depth: 0) else {
            throw LinkFailure(reason: "a reply of an unknown kind", isMalformed: true)
        }
        return reply
    }

    private func failure() -> LinkFailure {
        let code = unsafe context.pointee.err
        let text = unsafe withUnsafeBytes(of: &context.pointee.errstr) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        // Its readers run out of memory only where we refuse an array.
        if code == REDIS_ERR_OOM {
            return LinkFailure(reason: "an array of more than \(ReplyLimits.elements) elements", isMalformed: true)
        }
        return LinkFailure(reason: text, isMalformed: code == REDIS_ERR_PROTOCOL)
    }

    private static func copy(_ reply: UnsafePointer<redisReply>, depth: Int) -> RedisReply? {
        guard depth <= ReplyLimits.depth else { return nil }
        switch unsafe reply.pointee.type {
        case REDIS_REPLY_STRING: return unsafe .bulk(bytes(reply))
        case REDIS_REPLY_STATUS: return unsafe .simple(String(decoding: bytes(reply), as: UTF8.self))
        case REDIS_REPLY_ERROR: return unsafe .error(RedisRefusal(bytes(reply)))
        case REDIS_REPLY_INTEGER: return unsafe .integer(reply.pointee.integer)
        case REDIS_REPLY_NIL: return .null
        case REDIS_REPLY_ARRAY:
            var elements: [RedisReply] = []
            for index in 0..<(unsafe reply.pointee.elements) {
                guard let element = unsafe reply.pointee.element?[index],
                    let copied = unsafe copy(element, depth: depth + 1)
                else { return nil }
                elements.append(copied)
            }
            return .array(elements)
        default: return nil
        }
    }

    private static func bytes(_ reply: UnsafePointer<redisReply>) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: reply.pointee.str, count: reply.pointee.len))
    }
}

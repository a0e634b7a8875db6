// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A socket address as the system calls want it.
struct Address: Sendable, Equatable {
    let family: Int32
    /// A `sockaddr` of its family.
    let bytes: [UInt8]

    /// The address of a Unix socket; `nil` if the path is too long.
    init?(unix path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        guard name.count < 108 else { return nil }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
            for (index, byte) in name.enumerated() { unsafe place[index] = byte }
        }
        family = AF_UNIX
        bytes = unsafe withUnsafeBytes(of: &address) { unsafe Array($0) }
    }

    private init(family: Int32, bytes: [UInt8]) {
        self.family = family
        self.bytes = bytes
    }

    /// The addresses of a host, in the order the system prefers.
    ///
    /// - Parameter isNumeric: asks nobody, and so takes no time.
    static func resolve(_ host: String, port: UInt16, isNumeric: Bool) -> Resolution {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV | (isNumeric ? AI_NUMERICHOST : AI_ADDRCONFIG)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let first = unsafe list else {
            return .failed(unsafe gai_strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)")
        }
        defer { unsafe freeaddrinfo(first) }
        var addresses: [Address] = []
        var next = unsafe Optional(first)
        while let entry = unsafe next, addresses.count < 8 {
            if let start = unsafe entry.pointee.ai_addr {
                let bytes = unsafe UnsafeRawBufferPointer(start: start, count: Int(entry.pointee.ai_addrlen))
                addresses.append(Address(family: unsafe entry.pointee.ai_family, bytes: unsafe Array(bytes)))
            }
            unsafe next = entry.pointee.ai_next
        }
        return addresses.isEmpty ? .failed("no address") : .found(addresses)
    }
}

/// What became of a name.
enum Resolution: Sendable {
    case found([Address])
    case failed(String)
}

/// A thread of our own: it waits, which the cooperative pool must not.
enum ClientThread {
    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread that nobody waits for and that no signal disturbs; false when the system refuses one.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // Inherited by the thread: the program's signals are for its own threads, and SIGPIPE, which hiredis's writes
        // raise in the thread that writes, for none.
        var (all, before) = (sigset_t(), sigset_t())
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_BLOCK, &all, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let box = unsafe Unmanaged.passRetained(Box(body))
        let code = unsafe pthread_create(
            &thread,
            &attributes,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                }
                return nil
            },
            box.toOpaque()
        )
        if code != 0 { unsafe box.release() }
        return code == 0
    }
}

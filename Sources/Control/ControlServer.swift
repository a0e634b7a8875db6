// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform
import Synchronization

/// The daemon's local socket: anybody who may open its file may ask what the daemon sees.
///
/// One request a connection: a line in, `ok` or `error …` and the answer out, then the end.
public final class ControlServer: Sendable {
    private let path: String
    private let descriptor: Int32
    /// Names the file, so that only our own is removed.
    private let device: UInt, inode: UInt
    private let clients = Mutex(ControlClients())

    /// How long nobody is accepted after no descriptor was free, ns.
    private static let acceptPause: Int64 = 20_000_000

    /// Listens at `path`, for the owner and the group (mode 0660).
    ///
    /// A file that a dead daemon left there is replaced; the socket of a live one is not.
    public init(path: String) throws(ControlError) {
        let address = try UnixSocket.address(path)
        guard let probe = UnixSocket() else {
            throw .cannotListen(path: path, reason: ControlError.text(errno))
        }
        guard !address.connect(probe.descriptor) else { throw .inUse(path: path) }
        // A file that is no socket refuses connections too; it is somebody's.
        var left = stat()
        if errno == ECONNREFUSED, unsafe lstat(path, &left) == 0, left.st_mode & S_IFMT == S_IFSOCK {
            unsafe unlink(path)
        }
        let descriptor = socket(
            AF_UNIX,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue),
            0
        )
        let mask = umask(0o117)
        let isBound = descriptor >= 0 && address.bind(descriptor)
        let bindError = errno
        umask(mask)
        guard isBound, listen(descriptor, 128) == 0 else {
            if descriptor >= 0 { close(descriptor) }
            throw .cannotListen(path: path, reason: ControlError.text(isBound ? errno : bindError))
        }
        var status = stat()
        _ = unsafe lstat(path, &status)
        (device, inode) = (UInt(status.st_dev), UInt(status.st_ino))
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        clients.withLock { $0.closeAll() }
        close(descriptor)
        var status = stat()
        if unsafe lstat(path, &status) == 0, UInt(status.st_dev) == device, UInt(status.st_ino) == inode {
            unsafe unlink(path)
        }
    }

    /// Waits at most `milliseconds` for a request, and answers it with what `answer` says.
    ///
    /// Any number of clients are served side by side: one that sends nothing or does not read holds up only itself. It is
    /// given up after two seconds without a request, or ten in which it reads nothing, and at once when there are more than
    /// 64 and it is the oldest.
    ///
    /// - Parameter bell: a descriptor that ends the wait, too, when it is readable; -1: none.
    public func serve(
        milliseconds: Int32,
        or bell: Int32 = -1,
        _ answer: (ControlRequest) throws(ControlError) -> [UInt8]
    ) {
        let end = ControlClients.now() &+ Int64(milliseconds) &* 1_000_000
        // From when on the listener is looked at: it stays readable while no descriptor is free, which would make this loop spin.
        var acceptsFrom: Int64 = 0
        while true {
            let now = ControlClients.now()
            let listener = now < acceptsFrom ? -1 : descriptor
            var waiting = clients.withLock { clients in
                [listener, bell].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) } + clients.polled
            }
            let left = max(0, (listener < 0 ? min(end, acceptsFrom) : end) &- now)
            // Rounded up: the last part of a millisecond would be spent in a loop.
            let found = unsafe poll(&waiting, nfds_t(waiting.count), Int32(clamping: (left &+ 999_999) / 1_000_000))
            let requests = clients.withLock { clients in
                if waiting[0].revents != 0, !clients.accept(from: descriptor) {
                    acceptsFrom = ControlClients.now() &+ Self.acceptPause
                }
                return clients.turn()
            }
            // Outside the lock: an answer takes as long as it takes.
            for (number, line, peer) in requests {
                let reply = Self.reply(to: line, from: peer, answer)
                clients.withLock { $0.reply(to: number, reply) }
            }
            guard requests.isEmpty, found >= 0, waiting[1].revents == 0, ControlClients.now() < end else { return }
        }
    }

    private static func reply(
        to line: String?,
        from peer: String,
        _ answer: (ControlRequest) throws(ControlError) -> [UInt8]
    ) -> [UInt8] {
        do throws(ControlError) {
            guard let line, var request = ControlRequest(line: line) else {
                throw .refused(reason: "this is no request: one line with a verb and name=value options.")
            }
            // Whatever the client says of itself, the kernel knows.
            request.peer = peer
            return Array("ok\n".utf8) + (try answer(request))
        } catch {
            let text = if case .refused(let reason) = error { reason } else { error.description }
            return Array("error \(text)\n".utf8)
        }
    }
}

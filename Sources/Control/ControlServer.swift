// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The daemon's local socket: anybody who may open its file may ask what the daemon sees.
///
/// One request a connection: a line in, `ok` or `error …` and the answer out, then the end.
public final class ControlServer: Sendable {
    private let path: String
    private let descriptor: Int32
    /// Names the file, so that only our own is removed.
    private let device: UInt, inode: UInt

    /// Listens at `path`, for the owner and the group (mode 0660).
    ///
    /// A file that a dead daemon left there is replaced; the socket of a live one is not.
    public init(path: String) throws(ControlError) {
        let address = try UnixSocket.address(path)
        guard let probe = UnixSocket() else {
            throw .cannotListen(path: path, reason: ControlError.text(errno))
        }
        let code = unsafe UnixSocket.with(address) { unsafe connect(probe.descriptor, $0, $1) }
        guard code != 0 else { throw .inUse(path: path) }
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
        let isBound = unsafe descriptor >= 0 && UnixSocket.with(address, { unsafe bind(descriptor, $0, $1) }) == 0
        let bindError = errno
        umask(mask)
        guard isBound, listen(descriptor, 16) == 0 else {
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
        close(descriptor)
        var status = stat()
        if unsafe lstat(path, &status) == 0, UInt(status.st_dev) == device, UInt(status.st_ino) == inode {
            unsafe unlink(path)
        }
    }

    /// Waits at most `milliseconds` for a request, and answers it with what `answer` says.
    ///
    /// A client that sends nothing or does not read is given up after two seconds.
    ///
    /// - Parameter bell: a descriptor that ends the wait, too, when it is readable; -1: none.
    public func serve(
        milliseconds: Int32,
        or bell: Int32 = -1,
        _ answer: (ControlRequest) throws(ControlError) -> [UInt8]
    ) {
        var waiting = [descriptor, bell].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard unsafe poll(&waiting, 2, milliseconds) > 0, waiting.first?.revents != 0 else { return }
        let client = accept(descriptor, nil, nil)
        guard client >= 0 else { return }
        let socket = UnixSocket(descriptor: client)
        _ = fcntl(client, F_SETFD, FD_CLOEXEC)
        socket.limit(seconds: 2)
        guard let bytes = socket.receive(limit: ControlRequest.longest, isLine: true) else { return }
        let line = String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
        do throws(ControlError) {
            guard bytes.last == 0x0A, var request = ControlRequest(line: line) else {
                throw .refused(reason: "this is no request: one line with a verb and name=value options.")
            }
            // Whatever the client says of itself, the kernel knows.
            request.peer = socket.peer
            let answer = try answer(request)
            _ = socket.send(Array("ok\n".utf8) + answer)
        } catch {
            let text = if case .refused(let reason) = error { reason } else { error.description }
            _ = socket.send(Array("error \(text)\n".utf8))
        }
    }
}

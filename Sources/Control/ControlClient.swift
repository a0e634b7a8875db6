// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// Asks a daemon over its local socket.
public enum ControlClient {
    /// No answer is longer, in bytes.
    private static let longest = 256 << 20

    /// Sends one request; returns the answer.
    public static func ask(_ request: ControlRequest, at path: String) throws(ControlError) -> [UInt8] {
        let address = try UnixSocket.address(path)
        guard let socket = UnixSocket() else { throw .noDaemon(path: path, reason: ControlError.text(errno)) }
        guard address.connect(socket.descriptor) else {
            throw .noDaemon(path: path, reason: ControlError.text(errno))
        }
        socket.limit(seconds: 10)
        guard socket.send(Array(request.line.utf8)) else {
            throw .broken(path: path, reason: ControlError.text(errno))
        }
        guard let answer = socket.receive(limit: longest, isLine: false) else {
            throw .broken(path: path, reason: ControlError.text(errno))
        }
        guard let end = answer.firstIndex(of: 0x0A) else {
            throw .broken(path: path, reason: "it sent no answer")
        }
        let head = String(decoding: answer[..<end], as: UTF8.self)
        guard head == "ok" else {
            throw .refused(reason: head.hasPrefix("error ") ? String(head.dropFirst(6)) : "'\(head)'")
        }
        return Array(answer[(end + 1)...])
    }
}

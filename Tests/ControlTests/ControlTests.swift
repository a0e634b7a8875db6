// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Platform
import Testing

@testable import Control

struct ControlRequestTests {
    @Test func `a request is one line and back`() {
        let request = ControlRequest("status", ["top": "3", "by": "user"])
        #expect(request.line == "status by=user top=3\n")
        #expect(ControlRequest(line: "status by=user top=3") == request)
        let hard = ControlRequest("quota", ["reason": "100 % über\n\u{0}=x", "user": "a b"])
        #expect(
            hard.line.utf8.allSatisfy { $0 == 0x0A || (0x20..<0x7F).contains($0) } && hard.line.count { $0 == " " } == 2
        )
        #expect(ControlRequest(line: String(hard.line.dropLast())) == hard)
        #expect(ControlRequest(line: "quota a=%zz%4")?.options["a"] == "%zz%4")
        #expect(ControlRequest(line: "status top=") == ControlRequest("status", ["top": ""]))
    }

    @Test(arguments: ["", " ", "a=b", "status top", "status =3"])
    func `what is no request is none`(_ line: String) {
        #expect(ControlRequest(line: line) == nil)
    }
}

struct ControlServerTests {
    private let path = NSTemporaryDirectory() + "pgweir-test-\(UUID().uuidString.prefix(8))"

    @Test func `a socket that a dead daemon left is replaced, that of a live one is not`() throws {
        do {
            let server = try ControlServer(path: path)
            #expect(throws: ControlError.inUse(path: path)) { _ = try ControlServer(path: path) }
            _ = server
        }
        #expect(!FileManager.default.fileExists(atPath: path))
        // Bound and closed without being removed, as a crash leaves it.
        do {
            let address = try UnixSocket.address(path)
            guard let dead = UnixSocket() else { throw ControlError.noDaemon(path: path, reason: "no sockets") }
            #expect(address.bind(dead.descriptor))
        }
        #expect(FileManager.default.fileExists(atPath: path))
        _ = try ControlServer(path: path)
    }

    @Test func `a file that is no socket is left alone`() throws {
        try Data("mine".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: ControlError.self) { _ = try ControlServer(path: path) }
        #expect(FileManager.default.contents(atPath: path) == Data("mine".utf8))
    }

    @Test func `a path that is too long says so`() {
        let path = "/" + String(repeating: "x", count: 200)
        #expect(throws: ControlError.pathTooLong(path: path)) { _ = try ControlServer(path: path) }
    }
}

extension ControlServerTests {
    @Test func `who asks is known by the kernel, whatever the client says`() throws {
        let server = try ControlServer(path: path)
        let path = path
        // A thread of its own: tasks may wait long for their turn among other tests.
        Thread.detachNewThread { _ = try? ControlClient.ask(ControlRequest("who", ["peer": "uid 0"]), at: path) }
        var seen: ControlRequest?
        for _ in 0..<100 where seen == nil {
            server.serve(milliseconds: 100) { request throws(ControlError) in
                seen = request
                return []
            }
        }
        #expect(seen?.peer == "uid \(getuid()), pid \(getpid())")
    }
}

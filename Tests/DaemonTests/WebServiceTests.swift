// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestKit
import Testing

@testable import Daemon

/// Does what waits on a thread of its own: tests run on those of the pool, of which there are few.
func aside<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
    }
}

/// A socket of this machine that is listened at, or connected to.
private final class LocalSocket: Sendable {
    let descriptor: Int32
    let port: UInt16

    /// Connects to a port, or listens at a free one.
    init?(connectingTo port: UInt16? = nil) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = (port ?? 0).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (descriptor, length) = (descriptor, size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { own in
                if port != nil { return unsafe connect(descriptor, own, length) }
                return unsafe bind(descriptor, own, length) + listen(descriptor, 1)
                    + getsockname(descriptor, own, &size)
            }
        }
        self.port = UInt16(bigEndian: address.sin_port)
        if code != 0 { return nil }
    }

    deinit { close(descriptor) }

    /// Sends a request, and reads until the other side closes.
    func exchange(_ text: String) -> String {
        let bytes = Array(text.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        var found: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return String(decoding: found, as: UTF8.self) }
            found += buffer.prefix(count)
        }
    }
}

@Suite(.serialized) struct WebServiceTests {
    private func operation(_ port: UInt16) -> OperationConfiguration {
        var operation = OperationConfiguration()
        operation.webAddress = "127.0.0.1:\(port)"
        return operation
    }

    private var freePort: UInt16 {
        get throws {
            // It is free again as soon as this socket is closed.
            try #require(LocalSocket()).port
        }
    }

    private func get(_ path: String, _ port: UInt16) async throws -> String {
        try await aside {
            guard let socket = LocalSocket(connectingTo: port) else { return "refused" }
            return socket.exchange("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        }
    }

    @Test func `pages are served from the beginning to the end of the service`() async throws {
        let port = try freePort
        let view = emptyView()
        let operation = operation(port)
        let service = try #require(try await aside { try WebService(view, operation) })
        #expect(try await get("/-/healthy", port).contains("pgweir is healthy."))
        let running = Running(service)
        let metrics = try await get("/metrics", port)
        #expect(metrics.hasPrefix("HTTP/1.1 200") && metrics.contains("pgweir_build_info"))
        try await running.stop()
        try await eventually("nobody listens") { try await get("/-/healthy", port) == "refused" }
    }

    @Test func `a password that is set meanwhile is asked for, and a bad file leaves it in force`() async throws {
        let folder = try ScratchFolder()
        try folder.write("basic_auth_users: {}\n", to: "web.yml")
        var operation = operation(try freePort)
        operation.webFile = folder.file("web.yml")
        let (asked, port) = (operation, UInt16(operation.webAddress.split(separator: ":")[1]) ?? 0)
        let service = try #require(try await aside { try WebService(emptyView(), asked) })
        let running = Running(service)
        #expect(try await get("/metrics", port).hasPrefix("HTTP/1.1 200"))
        let hash = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
        try folder.write("basic_auth_users: {ana: '\(hash)'}\n", to: "web.yml")
        try await aside { service.refresh() }
        #expect(try await get("/metrics", port).hasPrefix("HTTP/1.1 401"))
        for text in ["", "basic_auth_users: {ana: plain}\n"] {
            try folder.write(text, to: "web.yml")
            try await aside { service.refresh() }
            #expect(try await get("/metrics", port).hasPrefix("HTTP/1.1 401"))
        }
        try await running.stop()
    }

    @Test func `an address that is taken is a refusal, where somebody asked for it`() async throws {
        let taken = try #require(LocalSocket())
        let view = emptyView()
        let operation = operation(taken.port)
        await #expect(throws: Sysexit.unavailable) { try await aside { _ = try WebService(view, operation) } }
        withExtendedLifetime(taken) {}
    }

    @Test func `no pages are served where none are asked for`() throws {
        var operation = OperationConfiguration()
        operation.webAddress = "none"
        #expect(try WebService(emptyView(), operation) == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import Web

/// Collects what comes, until the connection ends.
private final class Collector: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    let text = Mutex("")

    func channelActive(context: ChannelHandlerContext) {
        let request = "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        context.writeAndFlush(NIOAny(ByteBuffer(string: request)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        text.withLock { $0 += String(buffer: unwrapInboundIn(data)) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        text.withLock { $0 += "(\(error))" }
        context.close(promise: nil)
    }
}

/// A folder with a certificate and a key, which a test changes.
private final class Files: Sendable {
    let folder = NSTemporaryDirectory() + "pgweir-web-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func write(_ certificate: String, _ key: String) throws {
        try certificate.write(toFile: folder + "/c.pem", atomically: true, encoding: .utf8)
        try key.write(toFile: folder + "/k.pem", atomically: true, encoding: .utf8)
    }

    func options(port: Int = 0, users: [String: String] = [:], authorities: String? = nil) -> WebOptions {
        let tls = WebOptions.TLSFiles(
            certificate: folder + "/c.pem",
            key: folder + "/k.pem",
            clientAuthorities: authorities.map { folder + "/" + $0 }
        )
        return WebOptions(host: "127.0.0.1", port: port, tls: tls, users: users)
    }
}

extension WebServerTests {
    /// One request in TLS: the certificate that was shown, and the answer.
    private func visit(_ port: Int) throws -> (certificate: NIOSSLCertificate?, answer: String) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .noHostnameVerification
        let context = try NIOSSLContext(configuration: configuration)
        let shown = Mutex<NIOSSLCertificate?>(nil)
        let collector = Collector()
        let channel = try ClientBootstrap(group: group).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let tls = try NIOSSLClientHandler(context: context, serverHostname: nil) { certificates, promise in
                    shown.withLock { $0 = certificates.first }
                    promise.succeed(.certificateVerified)
                }
                try channel.pipeline.syncOperations.addHandlers([tls, collector])
            }
        }
        .connect(host: "127.0.0.1", port: port).wait()
        try channel.closeFuture.wait()
        return (shown.withLock { $0 }, collector.text.withLock { $0 })
    }

    private func makeServer(_ options: WebOptions) -> WebServer {
        WebServer(options) { _ in
            nil
        } answer: {
            .text("page \($0.path)")
        }
    }

    /// Waits until no thread of a server runs any more.
    private func waitForEnd(of server: WebServer) {
        for _ in 0..<600_000 where server.hasLoop { usleep(1000) }
        #expect(!server.hasLoop)
    }

    @Test func `what cannot be used leaves the old certificate and the listener in place`() async throws {
        let files = try Files()
        try files.write(TestCertificates.first, TestCertificates.firstKey)
        let server = makeServer(files.options())
        try await aside { try server.start() }
        defer { server.finish() }
        let port = try #require(server.port)
        let first = try NIOSSLCertificate(bytes: Array(TestCertificates.first.utf8), format: .pem)
        try "nonsense".write(toFile: files.folder + "/ca.pem", atomically: true, encoding: .utf8)
        #expect(try await aside { try self.visit(port).certificate } == first)
        let cases: [(certificate: String, key: String, authorities: String?)] = [
            // As it is for a moment while a program renews both.
            (TestCertificates.second, TestCertificates.firstKey, nil),
            (TestCertificates.first, TestCertificates.secondKey, nil),
            ("", TestCertificates.firstKey, nil), (TestCertificates.first, "", nil),
            ("nonsense", TestCertificates.firstKey, nil), (TestCertificates.first, "nonsense", nil),
            (String(TestCertificates.first.prefix(200)), TestCertificates.firstKey, nil),
            (TestCertificates.firstKey, TestCertificates.firstKey, nil),
            (TestCertificates.first, TestCertificates.firstKey, "ca.pem"),
            (TestCertificates.first, TestCertificates.firstKey, "missing.pem"),
        ]
        for one in cases {
            try files.write(one.certificate, one.key)
            #expect(throws: WebError.self, "\(one)") {
                try server.reload(files.options(authorities: one.authorities))
            }
            let found = try await aside { try self.visit(port) }
            #expect(found.certificate == first, "\(one)")
            #expect(found.answer.hasSuffix("page /a\n"), "\(one)")
        }
    }

    @Test func `a new certificate is shown, and no connection is refused meanwhile`() async throws {
        let files = try Files()
        try files.write(TestCertificates.first, TestCertificates.firstKey)
        let server = makeServer(files.options())
        try await aside { try server.start() }
        defer { server.finish() }
        let port = try #require(server.port)
        let isOver = Atomic<Bool>(false)
        async let refused = aside {
            var refused = 0
            while !isOver.load(ordering: .acquiring) {
                let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                if connect(descriptor, port) != 0 { refused += 1 }
                close(descriptor)
            }
            return refused
        }
        for (certificate, key) in [
            (TestCertificates.second, TestCertificates.secondKey), (TestCertificates.first, TestCertificates.firstKey),
            (TestCertificates.second, TestCertificates.secondKey),
        ] {
            try files.write(certificate, key)
            try server.reload(files.options())
            let wanted = try NIOSSLCertificate(bytes: Array(certificate.utf8), format: .pem)
            #expect(try await aside { try self.visit(port).certificate } == wanted)
        }
        isOver.store(true, ordering: .releasing)
        #expect(try await refused == 0)
    }

    @Test func `new passwords hold for the next request, and connections from before end`() async throws {
        var options = WebOptions(host: "127.0.0.1", port: 0)
        options.idleSeconds = 36_000
        let server = makeServer(options)
        try await aside { try server.start() }
        defer { server.finish() }
        let port = try #require(server.port)
        let get = "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        try await aside { #expect(talk(port, get).hasPrefix("HTTP/1.1 200")) }
        let idle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(idle) }
        try await aside {
            #expect(self.connect(idle, port) == 0)
            let request = Array("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
            _ = unsafe send(idle, request, request.count, Int32(MSG_NOSIGNAL))
            var byte: UInt8 = 0
            #expect(unsafe recv(idle, &byte, 1, Int32(MSG_PEEK)) == 1)
        }
        try server.reload(WebOptions(host: "127.0.0.1", port: port, users: ["prom": cheapHash("pgweir")]))
        try await aside {
            #expect(talk(port, get).hasPrefix("HTTP/1.1 401"))
            var time = timeval(tv_sec: 120, tv_usec: 0)
            _ = unsafe setsockopt(idle, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
            var (buffer, count) = ([UInt8](repeating: 0, count: 4096), 1)
            while count > 0 { count = unsafe recv(idle, &buffer, buffer.count, 0) }
            #expect(count == 0 || errno == ECONNRESET)
        }
    }

    @Test func `a server that cannot start leaves no thread behind`() async throws {
        let files = try Files()
        let busy = makeServer(WebOptions(host: "127.0.0.1", port: 0))
        try await aside { try busy.start() }
        let port = try #require(busy.port)
        try files.write(TestCertificates.first, TestCertificates.secondKey)
        for options in [files.options(), WebOptions(host: "127.0.0.1", port: port)] {
            let server = makeServer(options)
            try await aside {
                _ = #expect(throws: WebError.self) { try server.start() }
                self.waitForEnd(of: server)
            }
        }
        busy.finish()
        try await aside { self.waitForEnd(of: busy) }
    }

    @Test func `a server ends while clients connect`() async throws {
        let isOver = Atomic<Bool>(false)
        let port = Atomic<Int>(0)
        async let coming: Void = aside {
            while !isOver.load(ordering: .acquiring) {
                let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                _ = self.connect(descriptor, port.load(ordering: .acquiring))
                close(descriptor)
            }
        }
        for _ in 0..<30 {
            let server = makeServer(WebOptions(host: "127.0.0.1", port: 0))
            try await aside { try server.start() }
            port.store(server.port ?? 0, ordering: .releasing)
            try await aside {
                #expect(
                    talk(
                        port.load(ordering: .acquiring),
                        "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                    ).hasPrefix("HTTP/1.1 200")
                )
            }
            server.finish()
            try await aside { self.waitForEnd(of: server) }
        }
        isOver.store(true, ordering: .releasing)
        try await coming
    }

    private func connect(_ descriptor: Int32, _ port: Int) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, size)
            }
        }
    }
}

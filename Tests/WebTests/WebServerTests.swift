// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

@testable import Web

/// Waits on a thread of its own: the server answers on those that tests run on, of which there are few.
func aside<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
    }
}

/// One request over a plain socket: what came back, until the server closed or time was up.
func talk(_ port: Int, _ text: String, seconds: Int = 60) -> String {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
    }
    guard code == 0 else { return "" }
    var time = timeval(tv_sec: seconds, tv_usec: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    let bytes = Array(text.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    var found: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0 else { break }
        found += buffer.prefix(count)
    }
    return String(decoding: found, as: UTF8.self)
}

@Suite(.serialized) struct WebServerTests {
    private func serve(_ users: [String: String] = [:], _ body: @escaping @Sendable (Int) -> Void) async throws {
        let server = WebServer(WebOptions(host: "127.0.0.1", port: 0, users: users)) { request in
            request.path == "/-/healthy" ? .text("healthy") : nil
        } answer: { request in
            request.path == "/slow"
                ? {
                    usleep(200_000)
                    return .text("slow")
                }() : .text("page \(request.path)")
        }
        try await aside { try server.start() }
        defer { server.finish() }
        let port = try #require(server.port)
        try await aside { body(port) }
    }

    @Test func `answers with strict headers, and to reading methods only`() async throws {
        try await serve { port in
            let page = talk(port, "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(page.hasPrefix("HTTP/1.1 200") && page.hasSuffix("page /a\n"))
            #expect(page.contains("Content-Security-Policy: default-src 'none'"))
            let head = talk(port, "HEAD /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(head.hasPrefix("HTTP/1.1 200") && head.hasSuffix("\r\n\r\n"))
            let post = talk(
                port,
                "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            #expect(post.hasPrefix("HTTP/1.1 405") && post.contains("Allow: GET, HEAD"))
            for host in [
                "evil.example", "[evil.example", "[::1].evil.example", "[evil.example]", "\u{661}\u{662}.\u{663}",
            ] {
                let foreign = talk(port, "GET / HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
                #expect(foreign.hasPrefix("HTTP/1.1 4"), "\(host)")
            }
            for host in ["[::1]:9932", "127.0.0.1:9932", "localhost:1"] {
                let own = talk(port, "GET /a HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
                #expect(own.hasPrefix("HTTP/1.1 200"), "\(host)")
            }
        }
    }

    @Test func `passwords are asked for everything but probes`() async throws {
        // As 'htpasswd -nbBC 4 prom pgweir' makes it.
        let hash = cheapHash("pgweir")
        try await serve(["prom": hash]) { port in
            func get(_ path: String, _ more: String = "") -> String {
                talk(port, "GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(more)\r\n")
            }
            #expect(get("/-/healthy").hasPrefix("HTTP/1.1 200"))
            #expect(get("/").hasPrefix("HTTP/1.1 401"))
            #expect(get("/", "Authorization: Basic cHJvbTp3cm9uZw==\r\n").hasPrefix("HTTP/1.1 401"))
            for _ in 0..<2 { #expect(get("/", "Authorization: Basic cHJvbTpwZ3dlaXI=\r\n").hasPrefix("HTTP/1.1 200")) }
            #expect(get("/", "Authorization: Basic !!!\r\n").hasPrefix("HTTP/1.1 401"))
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "\u{0}\u{0}\u{0}\u{0}\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 500) + "\r\n",
    ])
    func `nonsense is refused, and the next one is served`(text: String) async throws {
        try await serve { port in
            let found = talk(port, text, seconds: 20)
            #expect(
                found.isEmpty || found.hasPrefix("HTTP/1.1 4") || found.hasPrefix("HTTP/1.1 5"),
                "\(found.prefix(60))"
            )
            #expect(
                talk(port, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").hasPrefix("HTTP/1.1 200")
            )
        }
    }

    @Test func `a port that is taken is told in words`() async throws {
        try await serve { port in
            let second = WebServer(WebOptions(host: "127.0.0.1", port: port)) { _ in
                nil
            } answer: { _ in
                .text("")
            }
            #expect(throws: WebError.self) { try second.start() }
            second.finish()
        }
    }
}

struct WebRequestTests {
    @Test func `targets are decoded once`() {
        let found = WebRequest(target: "/users/a%20b?sort=cost&x=%2541+1&x=2", accept: nil)
        #expect(found?.path == "/users/a b" && found?.query == ["sort": "cost", "x": "2"])
        #expect(WebRequest(target: "*", accept: nil) == nil && WebRequest(target: "/%ff", accept: nil) == nil)
        #expect(WebRequest(target: "/?a=%2541", accept: nil)?.query["a"] == "%41")
    }

    @Test func `addresses are read as people write them`() {
        #expect(WebOptions(address: "[::1]:80") == WebOptions(host: "::1", port: 80))
        #expect(WebOptions(address: ":9932") == WebOptions(host: "0.0.0.0", port: 9932))
        #expect(WebOptions(address: "host") == nil && WebOptions(address: "h:99999") == nil)
    }
}

/// A cheap bcrypt hash, by the same library that checks it.
func cheapHash(_ password: String) -> String { PasswordCheck.hash(password) }

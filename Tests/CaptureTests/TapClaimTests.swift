// SPDX-License-Identifier: Apache-2.0
import Capture
import Glibc
import Testing

/// What says that a process meters an interface: no two daemons may bill the same packets.
struct TapClaimTests {
    /// Whether a claim of this process stands.
    private func isClaimed(_ interface: String) -> Bool {
        guard let file = unsafe fopen("/proc/net/unix", "re") else { return false }
        defer { unsafe fclose(file) }
        var line = [CChar](repeating: 0, count: 512)
        while unsafe fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.contains("@pgweir/tap/\(interface)/"), text.contains("/\(getpid())\n") { return true }
        }
        return false
    }

    /// A claim as another process makes it; closes at the end of `body`.
    private func withOther(_ interface: String, _ ports: String, _ body: () throws -> Void) throws {
        let name = Array("\0pgweir/tap/\(interface)/\(ports)/1".utf8)
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let code = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, size) }
        }
        try #require(code == 0)
        try body()
    }

    private func claim(_ interface: String, _ ports: [UInt16], _ body: () throws -> Void = {}) throws {
        let claim = try TapClaim(interfaces: [interface], ports: ports)
        try body()
        _ = consume claim
    }

    @Test func `a claim that is refused leaves none behind`() throws {
        try withOther("claim0", "5432") {
            #expect(throws: CaptureError.alreadyTapped(interface: "claim0", process: "1")) {
                try claim("claim0", [5432, 6432])
            }
            #expect(!isClaimed("claim0"))
            try claim("claim0", [6432]) { #expect(isClaimed("claim0")) }
        }
    }

    @Test func `ports that are too many for a name are claimed as all`() throws {
        let ports = (40_000..<40_040).map { UInt16($0) }
        try claim("claim1", ports) { #expect(isClaimed("claim1")) }
        try withOther("claim1", "40000") {
            #expect(throws: CaptureError.self) { try claim("claim1", ports) }
        }
        #expect(!isClaimed("claim1"))
    }
}

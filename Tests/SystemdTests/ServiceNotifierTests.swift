// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Systemd
import Testing

/// A datagram socket where systemd's would be.
private final class Manager {
    private let descriptor: Int32
    /// What systemd would put into `NOTIFY_SOCKET`.
    let name: String

    /// Listens at a path, or at an abstract name, which begins with `@`.
    init(_ name: String) throws {
        self.name = name
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var bytes = Array(name.utf8)
        if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let code = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, size) }
        }
        try #require(code == 0)
    }

    deinit {
        close(descriptor)
        if name.hasPrefix("/") { _ = unsafe unlink(name) }
    }

    /// The messages that have come: a datagram is there once it was sent.
    func messages() -> [String] {
        var found: [String] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count >= 0 else { return found }
            found.append(String(decoding: buffer.prefix(count), as: UTF8.self))
        }
    }

    var notifier: ServiceNotifier { ServiceNotifier { [name] in $0 == "NOTIFY_SOCKET" ? name : nil } }
}

struct ServiceNotifierTests {
    private static func place() -> String { "/tmp/pgweir-notify-\(UUID().uuidString)" }

    @Test func `the watchdog is due in half of its time`() {
        let own = String(getpid())
        for environment in [["WATCHDOG_USEC": "3000000"], ["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": own]] {
            #expect(ServiceNotifier { environment[$0] }.watchdogInterval == 1.5)
        }
    }

    @Test(arguments: [
        [:], ["WATCHDOG_USEC": "x"], ["WATCHDOG_USEC": "0"], ["WATCHDOG_USEC": "-3000000"],
        ["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"],
    ])
    func `without a watchdog of ours nothing is due`(_ environment: [String: String]) {
        #expect(ServiceNotifier { environment[$0] }.watchdogInterval == nil)
    }

    @Test(arguments: [false, true])
    func `each message comes as systemd reads it`(isAbstract: Bool) throws {
        let manager = try Manager(isAbstract ? "@pgweir-notify-\(UUID().uuidString)" : Self.place())
        let notifier = manager.notifier
        notifier.ready("watching lo")
        #expect(manager.messages() == ["READY=1\nSTATUS=watching lo"])
        notifier.readyAsMain("watching lo")
        #expect(manager.messages() == ["MAINPID=\(getpid())\nREADY=1\nSTATUS=watching lo"])
        notifier.alive()
        notifier.alive()
        notifier.stopping()
        #expect(manager.messages() == ["WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"])
    }

    @Test func `a reload tells when it began, by the clock that systemd compares with`() throws {
        func now() -> Int {
            var time = timespec()
            unsafe clock_gettime(CLOCK_MONOTONIC, &time)
            return time.tv_sec * 1_000_000 + time.tv_nsec / 1000
        }
        let manager = try Manager(Self.place())
        let before = now()
        manager.notifier.reloading()
        let after = now()
        let lines = try #require(manager.messages().first).split(separator: "\n")
        #expect(lines.count == 2 && lines.first == "RELOADING=1")
        let told = try #require(lines.last?.split(separator: "=").last.flatMap { Int($0) })
        #expect(lines.last == "MONOTONIC_USEC=\(told)" && (before...after).contains(told))
    }

    @Test func `a name has room for 107 bytes, and a longer one is none`() throws {
        let start = "@pgweir-notify-\(UUID().uuidString)-"
        let longest = start + String(repeating: "x", count: 107 - start.utf8.count)
        let manager = try Manager(longest)
        manager.notifier.alive()
        #expect(manager.messages() == ["WATCHDOG=1"])
        // Cut to what fits, it would be that one.
        ServiceNotifier { $0 == "NOTIFY_SOCKET" ? longest + "y" : nil }.alive()
        #expect(manager.messages().isEmpty)
    }

    @Test func `a relative name and an empty one are none`() throws {
        let folder = Self.place()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let here = "pgweir-notify-\(UUID().uuidString)"
        let manager = try Manager(here)
        defer { _ = unsafe unlink(here) }
        for name in [here, "./" + here, "", "@", "/"] {
            ServiceNotifier { $0 == "NOTIFY_SOCKET" ? name : nil }.alive()
        }
        #expect(manager.messages().isEmpty)
    }

    @Test func `where nobody listens any more nothing happens, and who comes back is told`() throws {
        let place = Self.place()
        let notifier = ServiceNotifier { $0 == "NOTIFY_SOCKET" ? place : nil }
        notifier.ready("fine")
        var manager: Manager? = try Manager(place)
        notifier.alive()
        #expect(manager?.messages() == ["WATCHDOG=1"])
        manager = nil
        notifier.alive()
        manager = try Manager(place)
        notifier.stopping()
        #expect(manager?.messages() == ["STOPPING=1"])
    }

    @Test func `no message leaves a descriptor open`() throws {
        func count() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        let (manager, before) = (try Manager(Self.place()), try count())
        let gone = ServiceNotifier { $0 == "NOTIFY_SOCKET" ? Self.place() : nil }
        for _ in 0..<500 {
            manager.notifier.alive()
            _ = manager.messages()
            gone.alive()
        }
        // Others may open some meanwhile, but not as many.
        #expect(try count() - before < 250)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// Tells systemd how the service is: the protocol of sd_notify(3), of which nothing is needed but a datagram.
///
/// Where nobody listens – no `NOTIFY_SOCKET` in the environment – it does nothing.
public struct ServiceNotifier: Sendable {
    private let address: UnixAddress?
    /// How often a sign of life is due, in seconds: half of what `WATCHDOG_USEC` allows; `nil`: never.
    public let watchdogInterval: Double?

    /// Reads what systemd left in the environment.
    public init(environment: (String) -> String?) {
        let name = environment("NOTIFY_SOCKET").map { Array($0.utf8) } ?? []
        // An absolute path, or `@` for an abstract name.
        switch name.first {
        case UInt8(ascii: "/"): address = UnixAddress(path: String(decoding: name, as: UTF8.self))
        case UInt8(ascii: "@") where name.count > 1: address = UnixAddress(abstract: Array(name.dropFirst()))
        default: address = nil
        }
        let pid = environment("WATCHDOG_PID").flatMap { Int32($0) }
        let limit = environment("WATCHDOG_USEC").flatMap { Double($0) } ?? 0
        watchdogInterval = limit > 0 && (pid == nil || pid == getpid()) ? limit / 2_000_000 : nil
    }

    /// The service works; `status` is what `systemctl status` shows.
    public func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }

    /// The same, of a process that has taken the place of the service's main one.
    public func readyAsMain(_ status: String) { send("MAINPID=\(getpid())\nREADY=1\nSTATUS=\(status)") }

    /// The configuration is being read again; ``ready(_:)`` ends it.
    public func reloading() {
        send("RELOADING=1\nMONOTONIC_USEC=\(SystemClock.nanoseconds() / 1000)")
    }

    /// A sign of life.
    public func alive() { send("WATCHDOG=1") }

    /// The service is about to end.
    public func stopping() { send("STOPPING=1") }

    private func send(_ message: String) {
        guard let address else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = address.send(Array(message.utf8), from: descriptor)
    }
}

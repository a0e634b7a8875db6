// SPDX-License-Identifier: Apache-2.0
import Glibc
import TestKit

/// What systemd is to a service: a socket that takes its messages.
final class NotifySocket: Sendable {
    private let folder: ScratchFolder
    private let descriptor: Int32
    private let kept = Shared<[String]>([])

    init() throws {
        folder = try ScratchFolder()
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(folder.file("notify").utf8)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
            for (index, byte) in path.enumerated() { unsafe place[index] = byte }
        }
        _ = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    deinit { close(descriptor) }

    /// The environment of a service that is to tell it.
    func environment(watchdog: Int? = nil) -> [String: String] {
        var found = ["NOTIFY_SOCKET": folder.file("notify")]
        if let watchdog { found["WATCHDOG_USEC"] = String(watchdog * 1_000_000) }
        return found
    }

    /// All that was told so far: the first line of each message.
    var messages: [String] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            let text = String(decoding: buffer.prefix(count), as: UTF8.self)
            kept.change { $0.append(String(text.prefix { $0 != "\n" })) }
        }
        return kept.value
    }
}

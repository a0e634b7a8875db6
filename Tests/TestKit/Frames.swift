// SPDX-License-Identifier: Apache-2.0

/// Builds frames byte by byte, for tests that say what they send.
public enum Frames {
    /// A TCP segment in IPv4; lengths are right, checksums are not.
    public static func ipv4(
        from source: (UInt32, UInt16),
        to destination: (UInt32, UInt16),
        sequence: UInt32 = 1,
        acknowledgment: UInt32 = 0,
        flags: UInt8 = 0x18,
        payload: [UInt8] = [],
        fragment: UInt16 = 0,
        totalLength: Int? = nil
    ) -> [UInt8] {
        let segment = tcp(source.1, destination.1, sequence, acknowledgment, flags, payload)
        let length = totalLength ?? 20 + segment.count
        return [0x45, 0] + big(UInt16(length)) + [0, 1] + big(fragment) + [64, 6, 0, 0] + big(source.0)
            + big(destination.0) + segment
    }

    /// A TCP segment.
    public static func tcp(
        _ source: UInt16,
        _ destination: UInt16,
        _ sequence: UInt32,
        _ acknowledgment: UInt32,
        _ flags: UInt8,
        _ payload: [UInt8]
    ) -> [UInt8] {
        big(source) + big(destination) + big(sequence) + big(acknowledgment) + [0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]
            + payload
    }

    /// An Ethernet frame around a payload.
    public static func ethernet(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
        [UInt8](repeating: 2, count: 12) + big(type) + payload
    }

    /// An Ethernet frame around an IPv4 packet.
    public static func ethernet(_ packet: [UInt8]) -> [UInt8] { ethernet(0x0800, packet) }

    /// An IPv4 packet around any payload.
    public static func ipv4(protocol number: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0x45, 0] + big(UInt16(20 + payload.count)) + [0, 1, 0, 0, 64, number, 0, 0, 10, 9, 9, 9, 10, 9, 9, 8] + payload
    }

    /// Network byte order.
    public static func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
    /// Network byte order.
    public static func big(_ value: UInt32) -> [UInt8] { big(UInt16(value >> 16)) + big(UInt16(value & 0xFFFF)) }
}

/// Builds messages of the PostgreSQL protocol.
public enum Messages {
    /// A typed message.
    public static func message(_ type: Character, _ body: [UInt8] = []) -> [UInt8] {
        [type.asciiValue ?? 0] + Frames.big(UInt32(body.count + 4)) + body
    }

    /// Text with its NUL.
    public static func text(_ value: String) -> [UInt8] { Array(value.utf8) + [0] }

    /// A StartupMessage of protocol 3.0.
    public static func startup(user: String, database: String) -> [UInt8] {
        let body = Frames.big(UInt32(196_608)) + text("user") + text(user) + text("database") + text(database) + [0]
        return Frames.big(UInt32(body.count + 4)) + body
    }

    /// AuthenticationOk and the first ReadyForQuery.
    public static let loginAccepted = message("R", [0, 0, 0, 0]) + ready()

    /// ReadyForQuery.
    public static func ready(_ status: Character = "I") -> [UInt8] { message("Z", [status.asciiValue ?? 0]) }
    /// A Query message.
    public static func query(_ sql: String) -> [UInt8] { message("Q", text(sql)) }
    /// A CommandComplete message.
    public static func complete(_ tag: String) -> [UInt8] { message("C", text(tag)) }
    /// A Parse message.
    public static func parse(_ name: String, _ sql: String) -> [UInt8] {
        message("P", text(name) + text(sql) + [0, 0])
    }
    /// A Parse message of the unnamed statement.
    public static func parse(_ sql: String) -> [UInt8] { parse("", sql) }
    /// A Bind message without parameters.
    public static func bind(portal: String = "", _ name: String = "") -> [UInt8] {
        message("B", text(portal) + text(name) + [0, 0, 0, 0, 0, 0])
    }
    /// An Execute message.
    public static func execute(portal: String = "", rows: UInt32 = 0) -> [UInt8] {
        message("E", text(portal) + Frames.big(rows))
    }
    /// An ErrorResponse.
    public static func error(_ code: String, severity: String = "ERROR") -> [UInt8] {
        message(
            "E",
            [0x53] + text(severity) + [0x56] + text(severity) + [0x43] + text(code) + [0x4D] + text("no") + [0]
        )
    }
}

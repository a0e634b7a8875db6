// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// Says that this process meters certain ports of an interface, so that a second daemon does not bill them again.
///
/// The claim is a bound socket with an abstract name (unix(7)): it needs no file and no right, belongs to the network
/// namespace as the interface does, and is gone when the process is.
public struct TapClaim: ~Copyable {
    private let descriptors: [Int32]

    private static let prefix = "pgweir/tap/"

    /// Claims interfaces for ports; no ports: all of them.
    ///
    /// - Throws: ``CaptureError/alreadyTapped(interface:process:)`` when another process claims any of that, `any` included.
    public init(interfaces: [String], ports: [UInt16]) throws(CaptureError) {
        var own: [Int32] = []
        var names: Set<String> = []
        let list = ports.isEmpty ? "all" : ports.map(String.init).joined(separator: ",")
        for interface in interfaces {
            let name = Self.name(interface, list)
            names.insert(name)
            if let descriptor = Self.bind(name) { own.append(descriptor) }
        }
        descriptors = own
        // Bound first, looked around second: of two that start together at least one sees the other.
        for other in Self.claims() where !names.contains(other) {
            let parts = other.dropFirst(Self.prefix.count).split(separator: "/")
            guard parts.count == 3, parts[2] != "\(getpid())" else { continue }
            let theirs = parts[1].split(separator: ",").compactMap { UInt16($0) }
            let isShared = ports.isEmpty || theirs.isEmpty || !Set(ports).isDisjoint(with: theirs)
            guard isShared, interfaces.contains(where: { Self.overlap($0, String(parts[0])) }) else { continue }
            throw .alreadyTapped(interface: String(parts[0]), process: String(parts[2]))
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// The name of a claim; ports for which a name has no room are all of them.
    private static func name(_ interface: String, _ list: String) -> String {
        let name = "\(prefix)\(interface)/\(list)/\(getpid())"
        return name.utf8.count <= longest ? name : "\(prefix)\(interface)/all/\(getpid())"
    }

    /// Bytes of an abstract name, without the zero that it begins with.
    private static let longest = 106

    private static func overlap(_ own: String, _ other: String) -> Bool {
        if own == other { return true }
        let isLog = own.hasPrefix("nflog") || other.hasPrefix("nflog")
        return !isLog && (own == "any" || other == "any")
    }

    private static func bind(_ name: String) -> Int32? {
        let bytes = Array(name.utf8)
        guard bytes.count <= longest, let address = UnixAddress(abstract: bytes) else { return nil }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        guard address.bind(descriptor) else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// The claims of all processes of this network namespace.
    private static func claims() -> [String] {
        guard let file = unsafe fopen("/proc/net/unix", "re") else { return [] }
        defer { unsafe fclose(file) }
        var found: [String] = []
        var line = [CChar](repeating: 0, count: 512)
        while unsafe fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard let start = text.firstRange(of: "@" + prefix) else { continue }
            found.append(String(text[text.index(after: start.lowerBound)...].prefix { $0 != "\n" && $0 != "@" }))
        }
        return found
    }
}

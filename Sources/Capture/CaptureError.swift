// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// Why a capture could not be read; the text says what to do.
public enum CaptureError: Error, Equatable, CustomStringConvertible {
    /// The file could not be opened.
    case cannotOpen(path: String, errno: Int32)
    /// The file is neither pcap nor pcapng.
    case notACapture(path: String)
    /// Reading failed in the middle.
    case cannotRead(path: String, errno: Int32)
    /// The compressed data is damaged before the first packet.
    case badCompression(path: String)
    /// libpcap refused the filter.
    case badFilter(expression: String, reason: String)
    /// The filter cannot be used on this link type.
    case filterLinkType(number: UInt16)
    /// The interface could not be tapped for want of rights.
    case notPermitted(interface: String)
    /// There is no such interface, or it cannot be tapped now.
    case noInterface(name: String, reason: String)
    /// The system refused a thread.
    case noThreads(count: Int)
    /// Another process meters the same packets.
    case alreadyTapped(interface: String, process: String)
    /// The interface stopped giving packets.
    case interfaceFailed(name: String, reason: String)

    /// What happened, to what, and what to do.
    public var description: String {
        switch self {
        case .cannotOpen(let path, let code):
            "cannot open \(path): \(Self.text(code)). Check the path and its permissions."
        case .notACapture(let path):
            "\(path) is not a capture: it begins with neither a pcap nor a pcapng header. "
                + "Write one with `tcpdump -w`; gzip is fine, other compression must be undone first."
        case .cannotRead(let path, let code):
            "reading \(path) failed: \(Self.text(code))."
        case .badCompression(let path):
            "\(path) is damaged: its gzip data cannot be inflated."
        case .badFilter(let expression, let reason):
            "the filter '\(expression)' is not valid: \(reason). See pcap-filter(7)."
        case .filterLinkType(let number):
            "the filter cannot be applied to link type \(number)."
        case .notPermitted(let interface):
            "may not capture on \(interface). Run as root, or give the program the right: "
                + "`setcap cap_net_raw=ep pgweir`, or AmbientCapabilities=CAP_NET_RAW in its systemd unit."
        case .noInterface(let name, let reason):
            "cannot capture on \(name): \(reason). `ip link` lists the interfaces; 'any' is all of them."
        case .noThreads(let count):
            "cannot start \(count) threads: the system refuses them. Ask for fewer --workers, or raise `ulimit -u`."
        case .alreadyTapped(let interface, let process):
            "process \(process) meters these ports on \(interface) already: what both see would be billed twice. Stop it, "
                + "choose other ports, or say --allow-second."
        case .interfaceFailed(let name, let reason):
            "capturing on \(name) failed: \(reason)."
        }
    }

    static func text(_ code: Int32) -> String {
        SystemError.text(code)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CPcap
import Domain

/// A BPF filter expression (pcap-filter(7)), compiled by libpcap for each link type that occurs.
@safe public struct PacketFilter: ~Copyable {
    private let expression: String
    private var programs: [Program] = []

    @safe private struct Program {
        let linkType: UInt16
        let code: UnsafeMutablePointer<bpf_program>
    }

    /// Checks `expression` against Ethernet, so that a mistake is told before the capture is read.
    public init(_ expression: String) throws(CaptureError) {
        self.expression = expression
        _ = try unsafe program(for: 1)
    }

    deinit {
        for program in programs {
            unsafe pcap_freecode(program.code)
            unsafe program.code.deallocate()
        }
    }

    /// Whether the filter lets a packet through.
    public mutating func accepts(_ packet: RawSpan, length: Int, linkType: UInt16) throws(CaptureError) -> Bool {
        let code = try unsafe program(for: linkType)
        return unsafe packet.withUnsafeBytes { bytes in
            let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe bpf_filter(code.pointee.bf_insns, base, UInt32(clamping: length), UInt32(bytes.count)) != 0
        }
    }

    private mutating func program(for linkType: UInt16) throws(CaptureError) -> UnsafeMutablePointer<bpf_program> {
        if let known = programs.first(where: { $0.linkType == linkType }) { return unsafe known.code }
        guard let handle = unsafe pcap_open_dead(Int32(linkType), 262_144) else {
            throw .filterLinkType(number: linkType)
        }
        defer { unsafe pcap_close(handle) }
        let code = UnsafeMutablePointer<bpf_program>.allocate(capacity: 1)
        unsafe code.initialize(to: bpf_program())
        guard unsafe pcap_compile(handle, code, expression, 1, 0xFFFF_FFFF) == 0 else {
            let reason = unsafe String(cString: pcap_geterr(handle))
            unsafe code.deallocate()
            throw .badFilter(expression: expression, reason: reason)
        }
        unsafe programs.append(Program(linkType: linkType, code: code))
        return unsafe code
    }
}

// SPDX-License-Identifier: Apache-2.0
import CPcap
import Domain
import Glibc

/// How to tap an interface.
public struct LiveOptions: Sendable {
    /// The interface, `any`, or `nflog:N`.
    public var interface: String
    /// A pcap-filter(7) expression; not applied to `nflog`, whose rule in the firewall selects.
    public var filter: String
    /// The most bytes kept of a packet: below 65,550, packets that the kernel put together are cut.
    public var snapLength: Int32 = 262_144
    /// The kernel's ring, in bytes.
    public var buffer: Int32 = 64 << 20
    /// The group of taps that share the interface's packets by flow; `nil`: this tap sees all.
    public var fanout: UInt16?

    /// The defaults for an interface.
    public init(interface: String, filter: String) {
        self.interface = interface
        self.filter = filter
    }
}

/// What the kernel says about a tap since it was opened.
public struct LiveStatistics: Sendable, BitwiseCopyable {
    /// Packets that passed the filter, dropped ones included.
    public var received: UInt64 = 0
    /// Of these: dropped because the ring was full; for `nflog`, times that this happened.
    public var dropped: UInt64 = 0
    /// Dropped by the interface or its driver.
    public var droppedByInterface: UInt64 = 0

    /// All zero.
    public init() {}
}

/// A tap on a network interface: AF_PACKET or NFLOG through libpcap, which reads a ring shared with the kernel.
///
/// Never in libpcap's immediate mode: that means a ring of few fixed frames, which drops packets at the first pause.
/// Packets come in blocks instead, at most 20 ms late.
///
/// Used by one thread at a time; whoever hands it to another sees to that (``Sendable`` is promised on that ground).
@safe public final class LiveCapture: @unchecked Sendable {
    private let handle: OpaquePointer
    private let name: String
    /// The link type's number of its packets.
    public let linkType: UInt16
    private var nanosecondsPerUnit: Int64 = 1000
    private var total = LiveStatistics()
    private var latest = pcap_stat()
    /// The kernel's filter of this tap, once it was asked for.
    private var filter: [bpf_insn] = []

    private init(handle: OpaquePointer, name: String) {
        unsafe self.handle = handle
        self.name = name
        linkType = UInt16(truncatingIfNeeded: unsafe pcap_datalink(handle))
    }

    deinit { unsafe pcap_close(handle) }

    /// Opens the tap; packets gather in the ring from now on.
    public static func open(_ options: LiveOptions) throws(CaptureError) -> LiveCapture {
        var buffer = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = unsafe pcap_create(options.interface, &buffer) else {
            throw .noInterface(name: options.interface, reason: text(buffer))
        }
        unsafe pcap_set_snaplen(handle, options.snapLength)
        unsafe pcap_set_buffer_size(handle, options.buffer)
        unsafe pcap_set_timeout(handle, 20)
        unsafe pcap_set_promisc(handle, 0)
        // Nanoseconds where the source has them; others count in microseconds.
        let precision = unsafe pcap_set_tstamp_precision(handle, PCAP_TSTAMP_PRECISION_NANO)
        let code = unsafe pcap_activate(handle)
        guard code >= 0 else {
            let reason = unsafe reason(code, handle)
            unsafe pcap_close(handle)
            throw code == PCAP_ERROR_PERM_DENIED || code == PCAP_ERROR_PROMISC_PERM_DENIED
                ? .notPermitted(interface: options.interface)
                : .noInterface(name: options.interface, reason: reason)
        }
        // Linux cooked v2 tells interfaces and directions apart.
        if options.interface == "any" { _ = unsafe pcap_set_datalink(handle, 276) }
        let capture = unsafe LiveCapture(handle: handle, name: options.interface)
        capture.nanosecondsPerUnit = precision == 0 ? 1 : 1000
        try capture.prepare(options)
        return capture
    }

    private func prepare(_ options: LiveOptions) throws(CaptureError) {
        var buffer = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard unsafe pcap_setnonblock(handle, 1, &buffer) == 0 else {
            throw .noInterface(name: name, reason: Self.text(buffer))
        }
        if !name.hasPrefix("nflog") {
            var program = unsafe bpf_program()
            guard unsafe pcap_compile(handle, &program, options.filter, 1, 0xFFFF_FFFF) == 0 else {
                throw .badFilter(expression: options.filter, reason: unsafe String(cString: pcap_geterr(handle)))
            }
            defer { unsafe pcap_freecode(&program) }
            guard unsafe pcap_setfilter(handle, &program) == 0 else {
                throw .badFilter(expression: options.filter, reason: unsafe String(cString: pcap_geterr(handle)))
            }
        }
        guard let group = options.fanout else { return }
        // packet(7): PACKET_FANOUT with PACKET_FANOUT_HASH and DEFRAG; the hash is the same for both directions.
        var argument = Int32(group) | 0x8000 << 16
        let size = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe setsockopt(pcap_fileno(handle), 263, 18, &argument, size) == 0 else {
            throw .noInterface(name: name, reason: "cannot share it among workers: " + CaptureError.text(errno))
        }
    }

    /// Keeps only the beginning of long packets from these ports, or all of them again; whether that was possible.
    ///
    /// Used under overload: rows are most of what a ring holds, and tell least.
    public func cutResponses(_ isCut: Bool, from ports: [UInt16]) -> Bool {
        let descriptor = unsafe pcap_fileno(handle)
        if filter.isEmpty {
            let count = linux_filter(descriptor, nil, 0)
            guard count > 0 else { return false }
            var found = [bpf_insn](repeating: bpf_insn(), count: Int(count))
            guard unsafe linux_filter(descriptor, &found, UInt32(count)) == count else { return false }
            filter = found
        }
        guard var program = isCut ? ResponseCut.program(filter, ports: ports) : filter else { return false }
        return unsafe linux_attach(descriptor, &program, UInt16(clamping: program.count)) == 0
    }

    /// Whether a packet's time is when it was read, not when it passed: so with NFLOG.
    public var isStampedWhenRead: Bool { linkType == 239 }

    /// What to wait for: readable when packets may be there.
    public var descriptor: Int32 { unsafe pcap_get_selectable_fd(handle) }

    /// Hands the packets that are there, at most `limit`, to `body`, each with its bytes; returns how many.
    public func drain(
        _ limit: Int,
        _ body: (borrowing CaptureRecord, RawSpan) -> Void
    ) throws(CaptureError) -> Int {
        var record = CaptureRecord()
        record.linkType = linkType
        var count = 0
        while count < limit {
            var header: UnsafeMutablePointer<pcap_pkthdr>?
            var data: UnsafePointer<UInt8>?
            let code = unsafe pcap_next_ex(handle, &header, &data)
            guard code == 1, let header = unsafe header, let data = unsafe data else {
                if code == 0 { break }
                try checkFailure(code)
                break
            }
            count += 1
            record.captured = Int(unsafe header.pointee.caplen)
            record.length = Int(unsafe header.pointee.len)
            let time = unsafe header.pointee.ts
            record.time = Timestamp(
                nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_usec) &* nanosecondsPerUnit
            )
            // In range: libpcap answers for `caplen` bytes until the next call.
            let bytes = unsafe UnsafeRawBufferPointer(start: data, count: record.captured)
            body(record, unsafe RawSpan(_unsafeBytes: bytes))
        }
        return count
    }

    /// With NFLOG an empty socket and a full buffer look like errors (libpcap 1.10); a full buffer is in the statistics.
    private func checkFailure(_ code: Int32) throws(CaptureError) {
        guard code == PCAP_ERROR else { return }
        let reason = unsafe String(cString: pcap_geterr(handle))
        if reason.contains("Resource temporarily unavailable") || reason.contains("No buffer space") { return }
        throw .interfaceFailed(name: name, reason: reason)
    }

    /// The kernel's counts since the tap was opened; to be asked before 4 billion packets have passed since the last time.
    public func statistics() -> LiveStatistics {
        var counts = pcap_stat()
        guard unsafe pcap_stats(handle, &counts) == 0 else { return total }
        // libpcap counts in 32 bits and wraps.
        total.received &+= UInt64(counts.ps_recv &- latest.ps_recv)
        total.dropped &+= UInt64(counts.ps_drop &- latest.ps_drop)
        total.droppedByInterface &+= UInt64(counts.ps_ifdrop &- latest.ps_ifdrop)
        latest = counts
        return total
    }

    private static func text(_ buffer: [CChar]) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func reason(_ code: Int32, _ handle: OpaquePointer) -> String {
        let detail = unsafe String(cString: pcap_geterr(handle))
        guard let name = unsafe pcap_statustostr(code) else { return detail }
        let status = unsafe String(cString: name)
        return detail.isEmpty || detail == status ? status : "\(status) (\(detail))"
    }
}

// SPDX-License-Identifier: Apache-2.0
import CPcap

/// A filter of the kernel that keeps only the beginning of long packets from servers, and of all else what another filter
/// keeps (classic BPF, as in socket(7), SO_ATTACH_FILTER).
///
/// Where responses are large they are nearly all of the bytes, and queries hardly any: with their rows cut, the kernel's
/// ring holds the queries of all connections.
enum ResponseCut {
    /// A longer packet is cut, in bytes; the end of a response is in a shorter one, mostly.
    static let longest: UInt32 = 1024
    /// To so many bytes: headers, and the beginning of the first message.
    static let kept: UInt32 = 128
    /// The most ports: more would be too far to jump over.
    static let mostPorts = 64

    /// Where a jump goes.
    private enum Label { case next, six, pass, cut }

    private struct Line {
        var code: UInt16
        var k: UInt32 = 0
        var yes = Label.next, no = Label.next
    }

    /// `filter`, twice, and before it the choice between them; `nil` if that is not possible.
    ///
    /// Offsets are those of the network header (`SKF_NET_OFF` of linux/filter.h), so it is the same for each link type.
    static func program(_ filter: [bpf_insn], ports: [UInt16]) -> [bpf_insn]? {
        guard !filter.isEmpty, !ports.isEmpty, ports.count <= mostPorts, filter.count < 1500 else { return nil }
        let network = UInt32(bitPattern: -0x10_0000)
        let fromServer = ports.map { Line(code: jumpIfEqual, k: UInt32($0), yes: .cut) }
        let four: [Line] =
            [
                Line(code: loadLength), Line(code: jumpIfGreater, k: longest, no: .pass),
                Line(code: loadByte, k: network), Line(code: and, k: 0xF0), Line(code: jumpIfEqual, k: 0x40, no: .six),
                Line(code: loadByte, k: network &+ 9), Line(code: jumpIfEqual, k: 6, no: .pass),
                Line(code: loadHeaderLength, k: network), Line(code: loadHalfBehind, k: network),
            ] + fromServer + [Line(code: jump, yes: .pass)]
        // Without extension headers.
        let six: [Line] =
            [
                Line(code: jumpIfEqual, k: 0x60, no: .pass), Line(code: loadByte, k: network &+ 6),
                Line(code: jumpIfEqual, k: 6, no: .pass), Line(code: loadHalf, k: network &+ 40),
            ] + fromServer
        let lines = four + six
        // Behind them: `pass`, which jumps over `cut`, which jumps over the filter as it is.
        let places: [Label: Int] = [.six: four.count, .pass: lines.count, .cut: lines.count + 1]
        var code: [bpf_insn] = []
        for line in lines {
            func distance(_ label: Label) -> Int { places[label].map { $0 - code.count - 1 } ?? 0 }
            let yes = distance(line.yes)
            let no = distance(line.no)
            code.append(
                line.code == jump
                    ? bpf_insn(code: jump, jt: 0, jf: 0, k: UInt32(clamping: yes))
                    : bpf_insn(code: line.code, jt: UInt8(clamping: yes), jf: UInt8(clamping: no), k: line.k)
            )
        }
        code.append(bpf_insn(code: jump, jt: 0, jf: 0, k: 1))
        code.append(bpf_insn(code: jump, jt: 0, jf: 0, k: UInt32(clamping: filter.count)))
        return code + filter + filter.map(cutting)
    }

    private static func cutting(_ instruction: bpf_insn) -> bpf_insn {
        guard instruction.code == accept, instruction.k != 0 else { return instruction }
        var instruction = instruction
        instruction.k = min(instruction.k, kept)
        return instruction
    }

    // linux/bpf_common.h.
    private static let loadLength: UInt16 = 0x80, loadByte: UInt16 = 0x30, loadHalf: UInt16 = 0x28
    private static let loadHeaderLength: UInt16 = 0xB1, loadHalfBehind: UInt16 = 0x48, and: UInt16 = 0x54
    private static let jump: UInt16 = 0x05, jumpIfEqual: UInt16 = 0x15, jumpIfGreater: UInt16 = 0x25
    private static let accept: UInt16 = 0x06
}

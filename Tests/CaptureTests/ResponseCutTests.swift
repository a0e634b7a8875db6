// SPDX-License-Identifier: Apache-2.0
import CPcap
import Testing

@testable import Capture

/// The kernel runs the filter on real packets in `Tests/Integration/live`; here its shape.
struct ResponseCutTests {
    private static let filter = [
        bpf_insn(code: 0x28, jt: 0, jf: 0, k: 12), bpf_insn(code: 0x15, jt: 0, jf: 1, k: 0x800),
        bpf_insn(code: 0x06, jt: 0, jf: 0, k: 262_144), bpf_insn(code: 0x06, jt: 0, jf: 0, k: 0),
    ]

    /// Where each instruction may go next; `nil` for one that leads out of the program.
    private static func next(_ code: [bpf_insn], _ index: Int) -> [Int]? {
        let line = code[index]
        let places =
            switch line.code {
            case 0x06: [Int]()
            case 0x05: [index + 1 + Int(line.k)]
            case 0x15, 0x25: [index + 1 + Int(line.jt), index + 1 + Int(line.jf)]
            default: [index + 1]
            }
        return places.allSatisfy { $0 > index && $0 < code.count } ? places : nil
    }

    @Test(arguments: [1, 2, 7, ResponseCut.mostPorts])
    func `every path ends in the filter as it was or in the one that cuts`(ports: Int) throws {
        let code = try #require(ResponseCut.program(Self.filter, ports: (0..<ports).map { UInt16(5000 + $0) }))
        var reached: Set<Int> = [0]
        for index in code.indices where reached.contains(index) {
            reached.formUnion(try #require(Self.next(code, index)))
        }
        let ends = reached.filter { code[$0].code == 0x06 }.map { code[$0].k }
        #expect(ends.sorted() == [0, 0, ResponseCut.kept, 262_144])
        // Nothing was written that cannot be reached.
        #expect(reached.count == code.count)
        // Each port has a way to the filter that cuts, in both families.
        let cut = code.count - 2 * Self.filter.count - 1
        let chosen = code.indices.filter { code[$0].code == 0x15 && $0 + 1 + Int(code[$0].jt) == cut }
            .map { code[$0].k }
        #expect(chosen.count == 2 * ports)
        #expect(Set(chosen).count == ports)
        #expect(cut + 1 + Int(code[cut].k) == code.count - Self.filter.count)
    }

    @Test func `without ports, with too many, or without a filter there is none`() {
        #expect(ResponseCut.program(Self.filter, ports: []) == nil)
        #expect(ResponseCut.program(Self.filter, ports: Array(repeating: 1, count: ResponseCut.mostPorts + 1)) == nil)
        #expect(ResponseCut.program([], ports: [5432]) == nil)
    }
}

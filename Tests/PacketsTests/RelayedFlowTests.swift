// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets
import Testing

/// Connections whose bytes a relay brings in order.
struct RelayedFlowTests {
    /// A reassembler and its sink, for closures to change.
    private final class Bench {
        var reassembler: Reassembler
        var sink = Collector()

        init(flows: Int = 1 << 12) {
            var limits = ReassemblyLimits()
            limits.flows = flows
            reassembler = Reassembler(serverPorts: PortSet([5432]), limits: limits)
        }

        private func moment(_ second: Int64) -> Moment {
            Moment(time: Timestamp(nanoseconds: second * 1_000_000_000), ordinal: UInt64(second))
        }

        func open(_ number: UInt64, at second: Int64 = 1, port: UInt16 = 40_000) -> FlowHandle? {
            let flow = RelayedFlow(
                client: Endpoint(ipv4: 0x0A00_0002, port: port),
                server: Endpoint(ipv4: 0x0A00_0001, port: 5432),
                number: number,
                isMidstream: false
            )
            return reassembler.open(flow, at: moment(second), into: &sink)
        }

        func deliver(_ flow: FlowHandle, _ number: UInt64, _ side: Direction, _ text: String, at second: Int64 = 1) {
            let bytes = Array(text.utf8)
            reassembler.deliver(flow, number, from: side, bytes.rawSpan, at: moment(second), into: &sink)
        }

        func skip(_ flow: FlowHandle, _ number: UInt64, _ count: Int) {
            reassembler.skip(flow, number, from: .server, count, at: moment(1), into: &sink)
        }

        func close(_ flow: FlowHandle, _ number: UInt64) {
            reassembler.close(flow, number, at: moment(2), into: &sink)
        }

        func expire(at second: Int64) {
            reassembler.expire(at: moment(second), count: 1 << 12, into: &sink)
        }
    }

    @Test func `bytes and gaps are passed on as they come, and counted`() throws {
        let bench = Bench()
        let flow = try #require(bench.open(7))
        bench.deliver(flow, 7, .client, "ask")
        bench.deliver(flow, 7, .server, "ans")
        bench.skip(flow, 7, 1000)
        bench.deliver(flow, 7, .server, "wer")
        bench.close(flow, 7)
        #expect(bench.sink.client == Array("ask".utf8) && bench.sink.server == Array("answer".utf8))
        #expect(bench.sink.gaps == [1000] && bench.sink.opened == 1 && bench.sink.closed == 1)
        let counters = bench.reassembler.counters
        #expect(counters.flows == 1 && counters.segments == 3 && counters.gaps == 1 && counters.gapBytes == 1000)
        #expect(bench.reassembler.flowCount == 0, "no late packet can come: nothing is kept")
    }

    @Test func `what is said of a connection that is over touches no other one`() throws {
        let bench = Bench()
        let first = try #require(bench.open(1))
        bench.close(first, 1)
        let second = try #require(bench.open(2))
        #expect(bench.reassembler.placeCount == 1, "the place is used again")
        bench.deliver(first, 1, .client, "late")
        bench.skip(first, 1, 10)
        bench.close(first, 1)
        #expect(bench.sink.client.isEmpty && bench.sink.gaps.isEmpty && bench.sink.closed == 1)
        bench.deliver(second, 2, .client, "fresh")
        #expect(bench.sink.client == Array("fresh".utf8))
        bench.close(-1, 2)
        bench.deliver(1 << 20, 2, .client, "nowhere")
        #expect(bench.sink.closed == 1)
    }

    @Test func `more connections than there is room for push out the silent ones, and never trap`() throws {
        let bench = Bench(flows: 16)
        var open: [(FlowHandle, UInt64)] = []
        for number in 1...100 as ClosedRange<UInt64> {
            guard let flow = bench.open(number, at: Int64(number), port: UInt16(number)) else { continue }
            bench.deliver(flow, number, .client, "x", at: Int64(number))
            open.append((flow, number))
        }
        #expect(bench.reassembler.counters.evicted > 0)
        #expect(bench.reassembler.openFlowCount <= 17)
        for (flow, number) in open { bench.close(flow, number) }
        #expect(bench.sink.opened == bench.sink.closed)
    }

    @Test func `newcomers push out those that are silent longest, not each other`() {
        let bench = Bench(flows: 4096)
        for number in 1...4096 as ClosedRange<UInt64> {
            guard let flow = bench.open(number, at: Int64(number % 100)) else { continue }
            bench.deliver(flow, number, .client, "x", at: Int64(number % 100))
        }
        var newcomers: [(FlowHandle, UInt64)] = []
        for number in 5001...7000 as ClosedRange<UInt64> {
            guard let flow = bench.open(number, at: Int64(number)) else { continue }
            bench.deliver(flow, number, .client, "x", at: Int64(number))
            newcomers.append((flow, number))
        }
        for (flow, number) in newcomers { bench.deliver(flow, number, .server, "y", at: 8000) }
        #expect(bench.reassembler.counters.evicted == 2000)
        #expect(bench.sink.server.count == 2000, "all that came last are still known")
    }

    @Test func `a silent connection expires as others do, and its end is then no news`() throws {
        let bench = Bench()
        let flow = try #require(bench.open(3))
        bench.deliver(flow, 3, .client, "x")
        bench.expire(at: 90_000)
        #expect(bench.sink.closed == 1)
        bench.close(flow, 3)
        #expect(bench.sink.closed == 1)
    }
}

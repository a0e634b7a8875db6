// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Packets
import Testing

@testable import Metering
@testable import Pipeline

struct MemoryBudgetTests {
    private func shard(_ budget: MemoryBudget, workers: Int) -> Shard<NoRecorder> {
        var shard = Shard(
            serverPorts: PortSet([5432]),
            hash: .standard,
            priceList: PriceList(),
            limits: budget.reassembly(workers: workers, connections: nil),
            tables: budget.tables(workers: workers),
            sessions: budget.sessions(workers: workers),
            recorder: NoRecorder()
        )
        shard.analyser.metering.keepActivity()
        return shard
    }

    @Test(arguments: [128, 256, 768, 4096], [1, 2, 4])
    func `what all tables may take leaves a tenth of the budget, however many workers share it`(
        _ mebibytes: Int,
        _ workers: Int
    ) {
        let budget = MemoryBudget(bytes: mebibytes << 20)
        var shard = shard(budget, workers: workers)
        let tables = shard.memory.reduce(0) { $0 + $1.most } * workers + budget.prices + budget.storedPrices
        #expect(tables <= budget.bytes / 10 * 9, "\(shard.memory)")
        #expect(tables >= budget.bytes / 10 * 8, "\(shard.memory)")
        #expect(Set(shard.memory.map(\.name)).count == shard.memory.count)
    }

    @Test(arguments: [128, 256, 768, 4096], [1, 2, 4])
    func `prices at hand take what the budget leaves for them`(_ mebibytes: Int, _ workers: Int) throws {
        var shard = shard(MemoryBudget(bytes: mebibytes << 20), workers: workers)
        shard.analyser.metering.askForPrices(PricingScheme(cluster: "", asTenant: false))
        let prices = try #require(shard.memory.first { $0.name == "prices" })
        #expect(prices.bytes <= prices.most && prices.bytes >= prices.most / 3, "\(prices)")
        #expect(prices.most <= (mebibytes << 20) / 50 / workers, "\(prices)")
    }

    @Test func `statements that wait to be settled stay within their share`() throws {
        let budget = MemoryBudget(bytes: MemoryBudget.least)
        var shard = shard(budget, workers: 4)
        for number in 0..<100_000 {
            shard.analyser.metering.usage.time.add(
                LongStatement(
                    principal: 0,
                    pattern: 0,
                    tenant: .unknown,
                    session: UInt64(number),
                    database: 0,
                    started: 0,
                    ended: 1,
                    duration: 1,
                    price: 0,
                    mayWait: false
                )
            )
        }
        let usage = try #require(shard.memory.first { $0.name == "usage" })
        let time = shard.analyser.metering.usage.time
        #expect(usage.bytes > 0 && usage.bytes <= usage.most && usage.most <= budget.bytes / 200, "\(usage)")
        #expect(Int(time.unsettled) + time.long.count == 100_000 && time.unsettled > 0)
    }

    @Test func `a control group's limit is the measure, and too little is refused`() {
        #expect(MemoryBudget(controlGroup: 1 << 30).bytes == 768 << 20)
        #expect(MemoryBudget(controlGroup: 4 << 30).bytes == 3 << 30)
        #expect(MemoryBudget(controlGroup: nil).bytes == MemoryBudget.usual)
        #expect(MemoryBudget(bytes: 1).bytes == MemoryBudget.least)
        #expect(MemoryBudget(bytes: .max).tables(workers: 1).patterns == 1 << 20)
    }

    @Test func `what was asked for holds, whatever there is room for`() {
        let budget = MemoryBudget(bytes: MemoryBudget.least)
        #expect(budget.reassembly(workers: 1, connections: 1 << 20).flows == 1 << 20)
        #expect(budget.reassembly(workers: 1, connections: nil).flows < 1 << 16)
    }

    @Test func `a flood of patterns stays within its table's bytes`() throws {
        var shard = shard(MemoryBudget(bytes: MemoryBudget.least), workers: 1)
        let text = Array(repeating: UInt8(ascii: "x"), count: 2000)
        for number in 0..<5_000 as Range<UInt64> {
            let fingerprint = Fingerprint(high: number &* 0x9E37_79B9_7F4A_7C15, low: number)
            _ = shard.analyser.metering.addPattern(fingerprint, PatternScope(), text, firstSeen: number, for: 0)
            // As a worker does it: once for some packets.
            if number % 512 == 0, shard.analyser.metering.wantsSweep { shard.analyser.sweepTables() }
        }
        let patterns = try #require(shard.memory.first { $0.name == "patterns" })
        #expect(patterns.bytes > 1 << 20 && patterns.bytes <= patterns.most / 4 * 5, "\(patterns)")
    }
}

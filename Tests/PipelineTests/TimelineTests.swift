// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Quotas
import TestKit
import Testing

@testable import Metering
@testable import Pipeline

struct TimelineTests {
    @Test(arguments: [1, 2, 3])
    func `what users used by ten seconds adds up to what they used by the hour`(workers: Int) throws {
        for name in ["pooled_apps_a.pcap", "mix_a.pcap"] {
            var options = ReplayOptions(paths: [Repository.captures + "/" + name])
            (options.workers, options.keepsTimeline) = (workers, true)
            let result = try Replay.run(options)
            var hours: [String: Usage] = [:]
            for principal in result.principals {
                guard let user = principal.user else { continue }
                for hour in principal.account.hours {
                    hours[user, default: .zero] += Usage(low: hour.low, high: hour.high)
                }
            }
            let slots = result.timelines.mapValues { $0.reduce(Usage.zero) { $0 + $1.usage } }
            #expect(!slots.isEmpty && slots == hours.filter { $0.value != .zero })
            #expect(result.timelines.values.allSatisfy { $0.allSatisfy { $0.start % WindowKind.grain == 0 } })
        }
    }

    @Test func `evidence keeps the heavy ones when there is no room for all`() {
        var table = SpendTable(places: 1 << 10)
        let hour = Timestamp(nanoseconds: 1_800_000_000_000_000_000)
        let next = Timestamp(nanoseconds: hour.nanoseconds + 3_600_000_000_000)
        for round in 0..<20 {
            for pattern in Int32(0)..<2000 {
                table.add(7, pattern, pattern < 5 ? 1_000_000 : 1, at: hour)
            }
            table.add(8, 3, Int64(round), at: hour)
        }
        let spent = table.spent(by: { $0 == 7 }, at: hour, most: 5)
        #expect(Set(spent.map(\.pattern)) == [0, 1, 2, 3, 4])
        #expect(spent.allSatisfy { $0.cost == 20_000_000 && $0.calls == 20 })
        #expect(table.spent(by: { $0 == 7 }, at: next, most: 5).isEmpty, "an hour ago is not now")
        table.add(7, 1, 5, at: next)
        #expect(table.spent(by: { $0 == 7 }, at: next, most: 5).map(\.cost) == [5])
    }
}

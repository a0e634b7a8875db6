// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Metering
import TestKit
import Testing

@testable import Pipeline

/// A loaded server makes nobody's statement cost more: in a replay, too, which learns only at its end what is usual.
struct ReplayLoadTests {
    /// Connections of several users, each statement at its time.
    private struct Scene {
        var packets: [(time: UInt64, frame: [UInt8])] = []
        var sequences: [[UInt32]] = []

        /// `time` and `took`: microseconds.
        mutating func login(_ user: String, at time: UInt64) -> Int {
            sequences.append([1000, 5000])
            let connection = sequences.count - 1
            send(connection, 0, 0x02, [], time)
            sequences[connection][0] += 1
            send(connection, 1, 0x12, [], time + 10)
            sequences[connection][1] += 1
            send(connection, 0, 0x18, Messages.startup(user: user, database: "shop"), time + 20)
            send(connection, 1, 0x18, Messages.loginAccepted, time + 30)
            return connection
        }

        mutating func run(_ text: String, _ connection: Int, at time: UInt64, took: UInt64) {
            send(connection, 0, 0x18, Messages.query(text), time)
            send(connection, 1, 0x18, Messages.complete("SELECT 1") + Messages.ready(), time + took)
        }

        private mutating func send(_ connection: Int, _ side: Int, _ flags: UInt8, _ payload: [UInt8], _ time: UInt64) {
            let ends: [(UInt32, UInt16)] = [(0x0A00_0001, 40_000 + UInt16(connection)), (0x0A00_0002, 5432)]
            let packet = Frames.ipv4(
                from: ends[side],
                to: ends[1 - side],
                sequence: sequences[connection][side],
                acknowledgment: sequences[connection][1 - side],
                flags: flags,
                payload: payload
            )
            sequences[connection][side] += UInt32(payload.count)
            packets.append((time, Frames.ethernet(packet)))
        }

        /// The result with as many workers.
        func replayed(workers: Int) throws -> ReplayResult {
            var bytes = Frames.big(UInt32(0xA1B2_C3D4)) + [0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1]
            for packet in packets.sorted(by: { $0.time < $1.time }) {
                let length = Frames.big(UInt32(packet.frame.count))
                bytes += Frames.big(UInt32(1_000_000 + packet.time / 1_000_000))
                bytes += Frames.big(UInt32(packet.time % 1_000_000)) + length + length + packet.frame
            }
            let folder = try ScratchFolder()
            let path = folder.file("load.pcap")
            try Data(bytes).write(to: URL(filePath: path))
            var options = ReplayOptions(paths: [path])
            options.workers = workers
            return try Replay.run(options)
        }
    }

    /// Ten quiet seconds, then five in which all of `others` users run `slowdown` times as long, and one asks what takes 2 s.
    private func scene(others: Int, slowdown: UInt64) -> Scene {
        var scene = Scene()
        let users = (0..<others).map { scene.login("other\($0)", at: UInt64($0) * 100) }
        let asker = scene.login("asker", at: 1000)
        for second in UInt64(1)...15 {
            for (index, user) in users.enumerated() {
                for number in UInt64(0)..<6 {
                    let took = UInt64(1000 * (index + 1)) * (second > 10 ? slowdown : 1)
                    let time = second * 1_000_000 + number * 150_000 + UInt64(index) * 37
                    scene.run("select * from t\(index) where id = \(number)", user, at: time, took: took)
                }
            }
        }
        scene.run("select count(*) from large", asker, at: 12_100_000, took: 2_000_000)
        return scene
    }

    private func units(_ result: ReplayResult, _ user: String) -> (low: Double, high: Double) {
        let counts = result.principals.filter { $0.user == user }.map(\.counts)
        return (
            CostUnits(micro: counts.reduce(0) { $0 + $1.costLow }).units,
            CostUnits(micro: counts.reduce(0) { $0 + $1.cost }).units
        )
    }

    @Test(arguments: [1, 2, 4])
    func `time is divided by how slowly others' statements ran in the same seconds of a capture`(workers: Int) throws {
        // 18 units a millisecond.
        for (slowdown, expected) in [(1, 36_000.0), (2, 18_000), (4, 9_000), (16, 2_250)] as [(UInt64, Double)] {
            let cost = units(try scene(others: 4, slowdown: slowdown).replayed(workers: workers), "asker")
            #expect(abs(cost.low / expected - 1) < 0.1, "\(slowdown) times: \(cost)")
            #expect(cost.low == cost.high)
        }
    }

    @Test func `two others are not enough to tell a loaded server`() throws {
        let cost = units(try scene(others: 2, slowdown: 4).replayed(workers: 1), "asker")
        #expect(cost.low == 36_000)
    }

    @Test func `one's own slowness is no excuse`() throws {
        var scene = scene(others: 3, slowdown: 1)
        let slow = scene.login("slow", at: 5000)
        for number in UInt64(1)...40 { scene.run("select slow()", slow, at: number * 100_000, took: 1000) }
        for number in UInt64(1)...4 {
            scene.run("select slow()", slow, at: 11_000_000 + number * 500_000, took: 400_000)
        }
        // 4 times 400 ms and 40 of the default price.
        #expect(abs(units(try scene.replayed(workers: 1), "slow").low - (4 * 7200 + 40 * 1000)) < 100)
    }

    @Test func `all workers give the same bytes`() throws {
        let scene = scene(others: 6, slowdown: 3)
        let results = try [1, 2, 3, 4].map { workers in
            try scene.replayed(workers: workers).principals.map {
                "\($0.user ?? "")\($0.counts.costLow) \($0.counts.cost)"
            }
        }
        #expect(Set(results).count == 1)
    }
}

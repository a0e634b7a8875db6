// SPDX-License-Identifier: Apache-2.0
import Glibc
import RedisClient
import Synchronization

/// Times the Redis client: at a steady rate (CPU time, latency) or as fast as it goes; prints JSON for the script
/// `Benchmarks/redis`.
struct Load: Sendable {
    /// How replies were: their number, their latencies in microseconds by 1/16 of a power of two, failures.
    final class Tally: Sendable {
        let ended = Atomic<Int>(0)
        let failed = Atomic<Int>(0)
        let micros = Mutex<[UInt32]>([])
    }

    static let value = [UInt8](repeating: UInt8(ascii: "x"), count: 200)

    let client: RedisClient
    let tally = Tally()

    /// One command: a GET or, every second time, a SET of 200 bytes, of 10,000 keys.
    func send(_ number: Int, keepsLatency: Bool) {
        let key = Array("pgweir-bench:\(number % 10_000)".utf8)
        let command =
            number % 2 == 0
            ? RedisCommand([Array("SET".utf8), key, Self.value]) : RedisCommand([Array("GET".utf8), key])
        let (begun, tally) = (Self.now(CLOCK_MONOTONIC), tally)
        client.send(command) { result in
            if case .failure = result { tally.failed.add(1, ordering: .relaxed) }
            if keepsLatency {
                let micros = UInt32(clamping: Int((Self.now(CLOCK_MONOTONIC) - begun) * 1e6))
                tally.micros.withLock { $0.append(micros) }
            }
            tally.ended.add(1, ordering: .releasing)
        }
    }

    /// `rate` operations a second, one by one, as traffic has them.
    func steady(rate: Int, seconds: Double) -> String {
        let (begun, cpu) = (Self.now(CLOCK_MONOTONIC), Self.now(CLOCK_PROCESS_CPUTIME_ID))
        var sent = 0
        while Self.now(CLOCK_MONOTONIC) - begun < seconds {
            let due = Int((Self.now(CLOCK_MONOTONIC) - begun) * Double(rate))
            while sent < due {
                send(sent, keepsLatency: true)
                sent += 1
            }
            usleep(1000)
        }
        drain(sent)
        let (wall, used) = (Self.now(CLOCK_MONOTONIC) - begun, Self.now(CLOCK_PROCESS_CPUTIME_ID) - cpu)
        let sorted = tally.micros.withLock { $0.sorted() }
        func quantile(_ part: Double) -> UInt32 { sorted.isEmpty ? 0 : sorted[Int(Double(sorted.count - 1) * part)] }
        return report(sent, wall, used)
            + ", \"p50_us\": \(quantile(0.5)), \"p99_us\": \(quantile(0.99)), \"batches\": \(client.status.batches)}"
    }

    /// As many as it takes, with at most 20,000 under way.
    func saturating(seconds: Double) -> String {
        let (begun, cpu) = (Self.now(CLOCK_MONOTONIC), Self.now(CLOCK_PROCESS_CPUTIME_ID))
        var sent = 0
        while Self.now(CLOCK_MONOTONIC) - begun < seconds {
            guard sent - tally.ended.load(ordering: .acquiring) < 20_000 else {
                usleep(500)
                continue
            }
            for _ in 0..<1000 {
                send(sent, keepsLatency: false)
                sent += 1
            }
        }
        drain(sent)
        return report(sent, Self.now(CLOCK_MONOTONIC) - begun, Self.now(CLOCK_PROCESS_CPUTIME_ID) - cpu) + "}"
    }

    private func drain(_ sent: Int) {
        let deadline = Self.now(CLOCK_MONOTONIC) + 5
        while tally.ended.load(ordering: .acquiring) < sent, Self.now(CLOCK_MONOTONIC) < deadline { usleep(1000) }
    }

    private func report(_ sent: Int, _ wall: Double, _ used: Double) -> String {
        "{\"operations\": \(sent), \"failed\": \(tally.failed.load(ordering: .relaxed)), \"seconds\": \(wall), "
            + "\"cpu_seconds\": \(used)"
    }

    static func now(_ clock: clockid_t) -> Double {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 4, let seconds = Double(arguments[3]), let mode = Int(arguments[2]), mode >= 0 else {
    print("usage: pgweir-redis-bench URL OPERATIONS-PER-SECOND SECONDS      (0 a second: as fast as it goes)")
    exit(64)
}
do {
    let load = Load(client: try RedisClient(try RedisOptions(url: arguments[1])))
    // Connected, and the library loaded.
    for result in try load.client.call([RedisCommand("PING", key: nil)], seconds: 2) { _ = try result.get() }
    print(mode == 0 ? load.saturating(seconds: seconds) : load.steady(rate: mode, seconds: seconds))
    load.client.close()
} catch {
    print("\(error)")
    exit(1)
}

// SPDX-License-Identifier: Apache-2.0
import Domain
import Fingerprints
import Glibc

/// Times one part of pgweir and prints CPU seconds as JSON, for the script `Benchmarks/stages`.
@main
enum Main {
    static func main() throws {
        let arguments = CommandLine.arguments
        switch (arguments.count, arguments.dropFirst().first) {
        case (4, "stage"), (5, "stage"):
            guard let stage = Stage(rawValue: arguments[2]), let workers = Int(arguments.dropFirst(4).first ?? "1")
            else {
                usage()
            }
            report(try seconds { try run(stage, arguments[3], workers) })
        case (4, "normalizer"):
            let list = texts(arguments[2], Int(arguments[3]) ?? 0)
            var normalizer = Normalizer(hash: .standard)
            for _ in 0..<3 { _ = sketch(list, &normalizer) }  // the shapes are known, as in the steady state
            report(seconds { for _ in 0..<10 { _ = sketch(list, &normalizer) } }, count: 10 * list.count)
        case (3, "list"):
            let text = longList(Int(arguments[2]) ?? 0)
            var normalizer = Normalizer(hash: .standard)
            report(seconds { sketch([text], &normalizer) }, count: 1)
        case (3, "lookup"):
            var filled = filledCache(Int(arguments[2]) ?? 1)
            _ = filled.lookUp()
            var found = 0
            let taken = seconds { for _ in 0..<100 { found &+= filled.lookUp() } }
            report(taken, count: 100 * filled.keys.count)
        case (3, "zipf"):
            let result = zipf(Int(arguments[2]) ?? 1, 5_000_000)
            print("{\"hits\": \(result.hits), \"count\": 5000000, \"evictions\": \(result.evictions)}")
        default: usage()
        }
    }

    private static func usage() -> Never {
        print("usage: pgweir-stages stage read|decode|reassemble|follow|fingerprint|all CAPTURE [WORKERS of all]")
        print("       pgweir-stages normalizer STATEMENTS COUNT | list BYTES | lookup PATTERNS | zipf PATTERNS")
        exit(64)
    }

    private static func seconds<Result>(_ body: () throws -> Result) rethrows -> Double {
        let start = now()
        _ = try body()
        return now() - start
    }

    private static func now() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func report(_ seconds: Double, count: Int = 1) {
        print("{\"cpu_seconds\": \(seconds), \"count\": \(count)}")
    }
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import Pipeline
import Reports

@main
struct Pgweir: ParsableCommand {
    @Argument var files: [String]
    @Option var workers = 1
    @Option(name: [.short, .long]) var port: String?
    mutating func run() throws {
        var o = ReplayOptions(paths: files)
        o.workers = workers
        if let port { o.ports = port.split(separator: ",").compactMap { UInt16($0) } }
        let r = try Replay.run(o)
        let bytes = JSONReport(r, top: nil).render()
        unsafe bytes.withUnsafeBytes { _ = unsafe write(1, $0.baseAddress, $0.count) }
    }
}

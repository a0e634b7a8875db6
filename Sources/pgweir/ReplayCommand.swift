// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Pipeline
import Reports

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "replay")
    @Argument var files: [String]
    @Option var workers = 1
    @Option(name: [.short, .long]) var port: String?
    mutating func run() throws {
        var o = ReplayOptions(paths: files)
        o.workers = workers
        if let port { o.ports = port.split(separator: ",").compactMap { UInt16($0) } }
        let r = try Replay.run(o)
        try Output.write(JSONReport(r, top: nil).render())
    }
}

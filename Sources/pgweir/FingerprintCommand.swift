// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon
import Domain
import Fingerprints
import FoundationEssentials
import Reports

/// `pgweir fingerprint`: statements in, fingerprints and patterns out.
struct FingerprintCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fingerprint",
        abstract: "Print the fingerprint and pattern of statements read from standard input.",
        discussion: """
            To join pgweir's reports with other logs. Input 'text' is one statement a line; 'ndjson' is one object \
            {"sql": "…"} a line. Of a text with several statements, each is printed.
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, ndjson }

    @Option(help: "What a line of the input is.") var input = Format.text
    @Option(help: "What a line of the output is.") var format = Format.text
    @Option(help: ArgumentHelp("The key of the fingerprints; the same for all that are compared.", valueName: "number"))
    var seed: UInt64?
    @Flag(help: "standard_conforming_strings is off: backslashes escape in plain strings.")
    var backslashEscapes = false

    private struct Line: Decodable { var sql: String }

    mutating func run() throws {
        var normalizer = Normalizer(hash: seed.map { KeyedHash(seed: $0) } ?? .standard)
        let decoder = JSONDecoder()
        var number = 0
        while let line = readLine(strippingNewline: true) {
            number += 1
            guard !line.isEmpty else { continue }
            let sql: [UInt8]
            if input == .ndjson {
                guard let object = try? decoder.decode(Line.self, from: Data(line.utf8)) else {
                    Output.complain("line \(number) of the input is no object with a string \"sql\".")
                    throw Sysexit.dataError
                }
                sql = Array(object.sql.utf8)
            } else {
                sql = Array(line.utf8)
            }
            try Output.write(render(sql, &normalizer))
        }
    }

    private func render(_ sql: [UInt8], _ normalizer: inout Normalizer) -> [UInt8] {
        var output: [UInt8] = []
        var start = 0
        while let sketch = normalizer.sketch(sql.rawSpan, from: start, backslashEscapes: backslashEscapes) {
            start = max(start + 1, sketch.range.upperBound)
            let text = normalizer.patternText(sql.rawSpan, sketch)
            output += FingerprintLine.render(sketch.fingerprint, text, isJSON: format == .ndjson)
        }
        // A line for every line, so that the output can be pasted beside the input.
        return output.isEmpty ? FingerprintLine.render(.unknown, [], isJSON: format == .ndjson) : output
    }
}

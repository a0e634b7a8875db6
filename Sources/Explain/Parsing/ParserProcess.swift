// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Glibc
import Platform

/// Parses in a child process, so that a fault of the parser, or of what we make of its trees, costs one answer.
///
/// The child gets one request and gives one answer at a time, as JSON behind a length of four bytes. One that ends, or does
/// not answer in time, is started anew: at once the first time, then after a rest that doubles up to 30 s.
final class ParserProcess: StatementParser {
    private let command: [String]
    private var process: ChildProcess?
    private var failures = 0
    private var restsUntil = 0.0
    /// How often it was started.
    private(set) var starts = 0

    /// Seconds for one answer: a text of 64 KiB takes a few milliseconds.
    private static let timeout = 5.0
    private static let maxRest = 30.0

    /// - Parameter command: the program and its arguments, which answers requests on standard input.
    init(command: [String]) { self.command = command }

    func parse(_ request: ParseRequest) throws(PricingError) -> ParseAnswer {
        switch try ask(.parse(request)) {
        case .parsed(let answer): answer
        case .plan: throw .parserFailed
        }
    }

    func plan(json: String) throws(PricingError) -> Plan? {
        switch try ask(.plan(json)) {
        case .plan(let plan): plan
        case .parsed: throw .parserFailed
        }
    }

    private func ask(_ question: ParserMessage.Question) throws(PricingError) -> ParserMessage.Answer {
        guard let bytes = try? JSONEncoder().encode(question) else { throw .parserFailed }
        let child = try running()
        guard let answer = child.exchange([UInt8](bytes), seconds: Self.timeout),
            let decoded = try? JSONDecoder().decode(ParserMessage.Answer.self, from: Data(answer))
        else {
            child.end()
            process = nil
            failures += 1
            // The first end may be one text's fault; the next may be the machine's.
            restsUntil =
                SystemClock.now() + (failures == 1 ? 0 : min(Self.maxRest, 0.1 * Double(1 << min(failures, 10))))
            throw .parserFailed
        }
        failures = 0
        return decoded
    }

    private func running() throws(PricingError) -> ChildProcess {
        if let process { return process }
        guard SystemClock.now() >= restsUntil, let child = ChildProcess(command) else { throw .parserRests }
        starts += 1
        process = child
        return child
    }
}

/// What the two processes say to each other.
enum ParserMessage {
    enum Question: Codable {
        case parse(ParseRequest)
        case plan(String)
    }

    enum Answer: Codable {
        case parsed(ParseAnswer)
        case plan(Plan?)
    }
}

/// The child's side: answers until its input ends.
public enum ParserWorker {
    /// Reads requests from standard input and writes answers to standard output.
    ///
    /// - Returns: at the end of the input, or at anything that is no request.
    public static func run() {
        let parser = LocalParser()
        while let request = MessageIO.read(from: 0, deadline: nil) {
            guard let question = try? JSONDecoder().decode(ParserMessage.Question.self, from: Data(request)) else {
                return
            }
            let answer: ParserMessage.Answer =
                switch question {
                case .parse(let request): .parsed(parser.parse(request))
                case .plan(let json): .plan(parser.plan(json: json))
                }
            guard let bytes = try? JSONEncoder().encode(answer),
                MessageIO.write([UInt8](bytes), to: 1, deadline: nil)
            else { return }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials

/// A statement to be parsed and written for a server.
struct ParseRequest: Sendable, Codable {
    /// One statement, literals included.
    var text: [UInt8]
    /// `standard_conforming_strings` was off.
    var backslashEscapes = false
    var style = GenericStatement.Style()
    var schemas = GenericStatement.Schemas()
    /// A check that is off, for a test of the checks.
    var checks = SafetyChecks.all

    /// In a few bytes: Codable's arrays of numbers take four times the text.
    private enum CodingKeys: String, CodingKey { case text, backslashEscapes, style, schemas, checks }

    init(text: [UInt8], backslashEscapes: Bool = false, checks: SafetyChecks = .all) {
        (self.text, self.backslashEscapes, self.checks) = (text, backslashEscapes, checks)
    }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        text = Array(try values.decode(Data.self, forKey: .text))
        backslashEscapes = try values.decode(Bool.self, forKey: .backslashEscapes)
        style = try values.decode(GenericStatement.Style.self, forKey: .style)
        schemas = try values.decode(GenericStatement.Schemas.self, forKey: .schemas)
        checks = try values.decode(SafetyChecks.self, forKey: .checks)
    }

    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(Data(text), forKey: .text)
        try values.encode(backslashEscapes, forKey: .backslashEscapes)
        try values.encode(style, forKey: .style)
        try values.encode(schemas, forKey: .schemas)
        try values.encode(checks, forKey: .checks)
    }
}

/// A statement as a server is asked about it.
struct ParsedStatement: Sendable, Equatable, Codable {
    /// Its constants are parameters.
    var text: String
    /// All of them.
    var parameters: Int
    /// The highest `$n` of the statement itself.
    var ownParameters: Int
    /// It has strings that could be cast.
    var hasStrings: Bool
    var names: StatementNames
    /// Why it is not to be planned.
    var refusal: SafetyFinding?
}

/// What a text comes to.
enum ParseAnswer: Sendable, Equatable, Codable {
    case plan(ParsedStatement)
    /// The planner knows no price: a class of its own has one.
    case fixed(String)
    case notOneStatement
    case failed(SyntaxError)
}

/// Parses foreign text and writes what a server is asked.
protocol StatementParser: AnyObject {
    func parse(_ request: ParseRequest) throws(PricingError) -> ParseAnswer
    /// What is kept of a plan that the server gave.
    func plan(json: String) throws(PricingError) -> Plan?
}

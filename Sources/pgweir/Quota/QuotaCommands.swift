// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Control
public import Daemon
import Glibc
import Quotas

/// `pgweir quota`: budgets, limits, and who decided what.
struct QuotaCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quota",
        abstract: "Watch budgets, ask why somebody is limited, decide by hand.",
        discussion: """
            Asks the daemon over its local socket. What is decided by hand ends by itself and is audited.

            Exit codes: 0 done, 64 usage, 69 no daemon answers, or it refuses.
            """,
        subcommands: [
            QuotaListCommand.self, QuotaShowCommand.self, QuotaWhyCommand.self, QuotaHistoryCommand.self,
            QuotaSetCommand.self, QuotaResetCommand.self, QuotaExemptCommand.self, QuotaLimitCommand.self,
            QuotaReleaseCommand.self, QuotaConsentCommand.self, QuotaModeCommand.self, QuotaReleaseAllCommand.self,
        ]
    )
}

/// How questions are asked and answers look.
struct QuotaQuestion: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @OptionGroup var socket: SocketOption
    @Option(help: "The form of the answer: for people, or JSON.") var format = Format.text
    @Flag(inversion: .prefixedNo, help: "Colours; by default on a terminal unless NO_COLOR is set.") var color: Bool?

    func ask(_ verb: String, _ options: [String: String] = [:]) throws {
        let isColored = color ?? (Output.isTerminal(1) && Output.environment("NO_COLOR") == nil)
        var all = options
        all["do"] = verb
        all["format"] = format.rawValue
        all["width"] = Output.columns(1).map { String($0) }
        all["color"] = isColored ? "yes" : "no"
        try explainingErrors { try Output.write(try ControlClient.ask(ControlRequest("quota", all), at: socket.path)) }
    }
}

/// Who orders something, why, and for how long.
struct QuotaOrder: ParsableArguments {
    @OptionGroup var socket: SocketOption
    @Option(help: "Why; it stands in the audit.") var reason: String
    @Option(help: ArgumentHelp("Who decides (default: your login).", valueName: "name")) var by: String?
    @Option(name: .customLong("for"), help: ArgumentHelp("For how long, such as 30m, 6h or 7d.", valueName: "time"))
    var length: Length?
    @Option(help: ArgumentHelp("Until when, such as 18:30 (today or tomorrow) or 2027-01-31T08:00.", valueName: "time"))
    var until: EndTime?

    func validate() throws {
        if length != nil, until != nil { throw ValidationError("Give one of --for and --until.") }
        if reason.isEmpty { throw ValidationError("--reason must not be empty.") }
    }

    func give(_ verb: String, _ options: [String: String] = [:]) throws {
        var all = options
        all["do"] = verb
        all["reason"] = reason
        all["by"] = by ?? Self.login
        if let seconds = try Self.seconds(length, until) { all["seconds"] = String(seconds) }
        try explainingErrors { try Output.write(try ControlClient.ask(ControlRequest("quota", all), at: socket.path)) }
    }

    /// For how long it is to hold, in seconds; `nil`: as long as is usual.
    static func seconds(_ length: Length?, _ until: EndTime?) throws -> Int64? {
        let left = until.map { $0.seconds - Int64(time(nil)) }
        if let left, left < 1 { throw ValidationError("--until is over already.") }
        return length?.seconds ?? left
    }

    static var login: String {
        if let user = Output.environment("SUDO_USER") ?? Output.environment("USER"), !user.isEmpty { return user }
        return "uid \(geteuid())"
    }
}

struct QuotaListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Users by how full their budgets are."
    )
    @OptionGroup var question: QuotaQuestion
    @Option(help: "Lines of the table.") var top = 40

    func validate() throws { if top < 1 { throw ValidationError("--top must be at least 1.") } }
    func run() throws { try question.ask("list", ["top": String(top)]) }
}

struct QuotaShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "How one user stands.")
    @OptionGroup var question: QuotaQuestion
    @Argument(help: "The login, or its hash as in the audit.") var user: String

    func run() throws { try question.ask("show", ["user": user]) }
}

struct QuotaWhyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "The evidence behind a user's verdict: budgets, patterns, what was done and what came of it."
    )
    @OptionGroup var question: QuotaQuestion
    @Argument(help: "The login, or its hash as in the audit.") var user: String

    func run() throws { try question.ask("why", ["user": user]) }
}

struct QuotaHistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "history", abstract: "What changed, from the audit.")
    @OptionGroup var question: QuotaQuestion
    @Argument(help: "The login, or its hash; without it, everybody.") var user: String?
    @Option(help: "The last so many entries.") var top = 100

    func validate() throws { if top < 1 { throw ValidationError("--top must be at least 1.") } }
    func run() throws {
        var options = ["top": String(top)]
        if let user { options["user"] = user }
        try question.ask("history", options)
    }
}

struct QuotaSetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Judge a user by another tier for a time (default: an hour)."
    )
    @OptionGroup var order: QuotaOrder
    @Argument(help: "The login.") var user: String
    @Option(help: "The tier.") var tier: String

    func run() throws { try order.give("set", ["user": user, "tier": tier]) }
}

struct QuotaResetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset",
        abstract: "Give a user's budget back: what was used of the current windows counts as nothing."
    )
    @OptionGroup var order: QuotaOrder
    @Argument(help: "The login.") var user: String

    func run() throws { try order.give("reset", ["user": user]) }
}

struct QuotaExemptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exempt",
        abstract: "Limit a user by nothing for a time (default: an hour)."
    )
    @OptionGroup var order: QuotaOrder
    @Argument(help: "The login.") var user: String

    func run() throws { try order.give("exempt", ["user": user]) }
}

struct QuotaLimitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limit",
        abstract: "Leave a user so many connections for a time (default: an hour), whatever was used."
    )
    @OptionGroup var order: QuotaOrder
    @Argument(help: "The login.") var user: String
    @Option(help: "Connections that are left.") var connections: Int

    func validate() throws {
        guard (1...100_000).contains(connections) else {
            throw ValidationError("--connections must be from 1 to 100000.")
        }
    }
    func run() throws { try order.give("limit", ["user": user, "connections": String(connections)]) }
}

struct QuotaReleaseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Take back what was decided about a user by hand: the ladder decides again."
    )
    @OptionGroup var order: QuotaOrder
    @Argument(help: "The login.") var user: String

    func run() throws { try order.give("release", ["user": user]) }
}

struct QuotaConsentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consent",
        abstract: "Allow more users to be limited at once than 'quota.max_limited', for a time (default: an hour)."
    )
    @OptionGroup var order: QuotaOrder

    func run() throws { try order.give("consent") }
}

struct QuotaModeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mode",
        abstract: "Switch off, monitor, warn or enforce at run time, for one tier or for all.",
        discussion: "It holds on all nodes that share the ledger, until it is switched to 'configured'."
    )

    enum Mode: String, ExpressibleByArgument, CaseIterable { case off, monitor, warn, enforce, configured }

    @OptionGroup var order: QuotaOrder
    @Argument(help: "off, monitor, warn, enforce, or configured: as the configuration says.") var mode: Mode
    @Option(help: "The tier; without it, all.") var tier: String?

    func run() throws {
        var options = ["mode": mode.rawValue]
        if let tier { options["tier"] = tier }
        try order.give("mode", options)
    }
}

extension Length: ExpressibleByArgument {}
extension EndTime: ExpressibleByArgument {}

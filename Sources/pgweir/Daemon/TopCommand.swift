// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Control
import Daemon
import Glibc
import Platform
public import Reports

/// `pgweir top`: a live view of a running daemon.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Watch users, patterns and sessions live, as the running daemon sees them.",
        discussion: """
            Keys: u users, p patterns, s sessions, tab the next; c, n, t, b sort by cost, calls, time, budget; q quits. \
            "busy" is server time a second: 2 means two statements at any time.

            With --batch it prints plain text, a screen each --interval, for logs and scripts.

            Exit codes: 0 quit, 64 usage, 69 no daemon answers.
            """
    )

    @OptionGroup var socket: SocketOption
    @Option(help: ArgumentHelp("Seconds from one look to the next.", valueName: "seconds")) var interval = 1.0
    @Option(help: "The table to begin with: users, patterns or sessions.") var table = TopView.Table.users
    @Option(help: "What it is sorted by: cost, calls, time or budget.") var sort = TopView.Order.cost
    @Flag(help: "Print plain text and no escape sequences; no keys.") var batch = false
    @Option(name: .short, help: ArgumentHelp("With --batch: so many screens.", valueName: "count")) var n: Int?

    func validate() throws {
        guard interval >= 0.1, interval <= 3600 else {
            throw ValidationError("--interval must be from 0.1 to 3600 seconds.")
        }
        if let n, n < 1 { throw ValidationError("-n must be at least 1.") }
        if !batch, !Output.isTerminal(1) || !Output.isTerminal(0) {
            throw ValidationError("this is no terminal: say --batch.")
        }
    }

    func run() throws {
        var view = TopView()
        view.table = table
        view.order = sort
        try explainingErrors { batch ? try printScreens(&view) : try watch(&view) }
    }

    private func look(_ view: inout TopView) throws {
        let answer = try ControlClient.ask(ControlRequest("status", ["format": "json"]), at: socket.path)
        do {
            view.take(try TopSample(json: answer), at: SystemClock.now())
        } catch {
            throw ControlError.broken(path: socket.path, reason: "its answer is of another version of pgweir")
        }
    }

    private func printScreens(_ view: inout TopView) throws {
        let style = TerminalStyle(width: Output.columns(1), isColored: false)
        try look(&view)
        for number in 0..<(n ?? .max) {
            Interrupt.wait(interval)
            try look(&view)
            let lines = view.lines(rows: 40, style: style).filter { !$0.isEmpty }.dropLast()
            let text = (number > 0 ? "\n" : "") + lines.joined(separator: "\n") + "\n"
            try Output.write(Array(text.utf8))
        }
    }

    private func watch(_ view: inout TopView) throws {
        Interrupt.install()
        let terminal = RawTerminal()
        defer { terminal.restore() }
        try look(&view)
        while !Interrupt.isRequested {
            try show(view)
            let next = SystemClock.now() + interval
            while !Interrupt.isRequested, SystemClock.now() < next {
                guard let key = terminal.key(milliseconds: Int32(min(250, max(1, (next - SystemClock.now()) * 1000))))
                else {
                    continue
                }
                if key == "q" { return }
                if view.press(key) { try show(view) }
            }
            try look(&view)
        }
    }

    private func show(_ view: TopView) throws {
        let size = RawTerminal.size
        let style = TerminalStyle(width: size.columns, isColored: Output.environment("NO_COLOR") == nil)
        let lines = view.lines(rows: size.rows, style: style)
        // Each line cleared as it is drawn: no flicker.
        let text = "\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J"
        try Output.write(Array(text.utf8))
    }
}

extension TopView.Table: ExpressibleByArgument {}
extension TopView.Order: ExpressibleByArgument {}

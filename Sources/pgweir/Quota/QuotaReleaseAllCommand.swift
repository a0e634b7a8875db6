// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Control
import PgBouncer

struct QuotaReleaseAllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release-all",
        abstract: "Limit nobody for a time (default: an hour).",
        discussion: """
            Tells the daemon, and with it all nodes that share its ledger. With --limits it also lifts the limits in \
            PgBouncer's file itself: that works with everything else down.
            """
    )
    @OptionGroup var order: QuotaOrder
    @Flag(help: "Limit as usual again.") var resume = false
    @Option(help: ArgumentHelp("The file of limits that pgbouncer.ini includes.", valueName: "file")) var limits:
        String?
    @Option(help: ArgumentHelp("PgBouncer's pidfile; may be repeated.", valueName: "file"))
    var pgbouncerPid: [String] = []

    func validate() throws {
        if resume, limits != nil { throw ValidationError("--limits lifts limits; --resume sets them again.") }
    }

    func run() throws {
        guard let limits else { return try order.give("release-all", resume ? ["resume": "yes"] : [:]) }
        // The daemon first: otherwise it would set them again at once.
        var isTold = true
        do { try order.give("release-all") } catch is ExitCode { isTold = false }
        var watch = Guard(file: limits, pidFiles: pgbouncerPid)
        do throws(PgBouncerError) {
            let finding = try watch.check(now: Supervisor.time(), release: true)
            if case .released(let users) = finding {
                Output.complain("released \(users.count) users in \(limits).")
            } else {
                Output.complain("nobody is limited in \(limits).")
            }
        } catch {
            Output.complain(error.description)
            throw Sysexit.ioError
        }
        if !isTold {
            Output.complain(
                "no daemon was told: if one runs elsewhere, it may set limits again; stop it, or its --pgbouncer."
            )
        }
    }
}

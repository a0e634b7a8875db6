// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

struct QuotaReleaseAllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release-all",
        abstract: "Limit nobody for a time (default: an hour).",
        discussion: """
            Needs no option: it tells the daemon, and with it all nodes that share its ledger, waits until each PgBouncer \
            says that it has loaded the file without limits, and tells where it has not. Where no daemon answers, it lifts \
            the limits itself: in the files of the configuration, or of --limits.

            Exit codes: 0 PgBouncer confirms that nobody is limited, 64 usage, 69 nothing is known to release, 75 not \
            confirmed, which the text explains.
            """
    )
    @OptionGroup var socket: SocketOption
    @Option(help: "Why; it stands in the audit.") var reason: String?
    @Option(help: ArgumentHelp("Who decides (default: your login).", valueName: "name")) var by: String?
    @Option(name: .customLong("for"), help: ArgumentHelp("For how long, such as 30m, 6h or 7d.", valueName: "time"))
    var length: Length?
    @Option(help: ArgumentHelp("Until when, such as 18:30 (today or tomorrow) or 2027-01-31T08:00.", valueName: "time"))
    var until: EndTime?
    @Flag(help: "Limit as usual again.") var resume = false
    @Option(
        help: ArgumentHelp(
            "The daemon's configuration, where no daemon answers (default: /etc/pgweir/pgweir.yaml, if there is one).",
            valueName: "file"
        )
    ) var config: String?
    @Option(help: ArgumentHelp("The file of limits that pgbouncer.ini includes.", valueName: "file")) var limits:
        String?
    @Option(help: ArgumentHelp("The file that [pgbouncer] includes, if there is one.", valueName: "file"))
    var limitsGlobals: String?
    @Option(help: ArgumentHelp("PgBouncer's console; may be repeated.", valueName: "conninfo"))
    var pgbouncer: [String] = []
    @Option(help: ArgumentHelp("PgBouncer's pidfile; may be repeated.", valueName: "file"))
    var pgbouncerPid: [String] = []

    func validate() throws {
        if resume, limits != nil { throw ValidationError("--limits lifts limits; --resume sets them again.") }
        if length != nil, until != nil { throw ValidationError("Give one of --for and --until.") }
        if reason?.isEmpty ?? false { throw ValidationError("--reason must not be empty.") }
    }

    func run() throws {
        var options = ["by": by ?? QuotaOrder.login]
        if let reason { options["reason"] = reason }
        if let seconds = try QuotaOrder.seconds(length, until) { options["seconds"] = String(seconds) }
        if resume { options["resume"] = "yes" }
        var release = LimitRelease(socket: socket.path, options: options, resume: resume)
        (release.config, release.limits, release.limitsGlobals) = (config, limits, limitsGlobals)
        (release.pgbouncer, release.pgbouncerPid) = (pgbouncer, pgbouncerPid)
        try explainingErrors { try release.run() }
    }
}

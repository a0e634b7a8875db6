// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Capture
import Control
import Costs
import Daemon
import Domain
import Quotas
public import Reports
import Settings

/// How a report looks, and by what it judges: the same for captures and for live taps.
struct ReportArguments: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, ndjson, html, csv }

    @Option(help: ArgumentHelp("Tiers, users and prices (YAML).", valueName: "file")) var config: String?
    @Option(
        help: """
            The form of the report: for people; one JSON object; a line for every statement; one HTML file; or the table \
            that --by names as CSV (RFC 4180).
            """
    )
    var format = Format.text
    @Flag(help: "Whole texts of patterns and all figures, a block for each, instead of tables.") var full = false
    @Option(help: "Lines of each table; of patterns in JSON, where all are given without it.") var top: Int?
    @Option(help: "What the first table adds up by: user, pattern, database, client or application.") var by = Grouping
        .user
    @Flag(inversion: .prefixedNo, help: "Colours; by default on a terminal unless NO_COLOR is set.") var color: Bool?

    func validate() throws {
        if let top, top < 1 { throw ValidationError("--top must be at least 1.") }
        guard !full || format == .text else { throw ValidationError("--full is for --format text: others tell all.") }
    }

    func policy() throws -> PolicySettings { try PolicySettings.load(config) }

    /// How the report looks.
    var look: ReportForm {
        let kind: ReportForm.Kind =
            switch format {
            case .json: .json
            case .html: .html
            case .csv: .csv
            case .text, .ndjson: full ? .fullText : .text
            }
        return ReportForm(kind, top: top, by: by, style: style)
    }

    var style: TerminalStyle {
        let isColored = color ?? (Output.isTerminal(1) && Output.environment("NO_COLOR") == nil)
        return TerminalStyle(width: Output.columns(1), isColored: isColored)
    }
}

/// Runs `body`; an error of ours is told in its own words and ends the program with its code.
func explainingErrors(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as CaptureError {
        Output.complain(error.description)
        switch error {
        case .cannotOpen, .noInterface: throw Sysexit.noInput
        case .notACapture, .badCompression, .filterLinkType: throw Sysexit.dataError
        case .cannotRead, .interfaceFailed: throw Sysexit.ioError
        case .badFilter: throw Sysexit.usage
        case .noThreads: throw Sysexit.systemError
        case .alreadyTapped: throw Sysexit.unavailable
        case .notPermitted: throw Sysexit.noPermission
        }
    } catch let error as SettingsError {
        Output.complain(error.description)
        throw Sysexit.configuration
    } catch let error as CostStoreError {
        Output.complain(error.description)
        throw Sysexit.unavailable
    } catch let error as LedgerError {
        Output.complain(error.description)
        throw Sysexit.unavailable
    } catch let error as ControlError {
        Output.complain(error.description)
        throw Sysexit.unavailable
    }
}

extension Grouping: ExpressibleByArgument {}

/// Where a pooler listens, such as `10.0.0.5:6432`.
struct PoolerPlace: ExpressibleByArgument {
    var endpoint: Endpoint

    init?(argument: String) {
        guard let endpoint = Endpoint(argument), endpoint.port > 0 else { return nil }
        self.endpoint = endpoint
    }

    static let help = ArgumentHelp(
        """
        Where a pooler listens whose clients are seen, too: its connections to servers are passed over, so that nothing is \
        counted twice; may be repeated.
        """,
        valueName: "address:port"
    )
}

/// A server as `--server` names it.
struct ServerPlace: ExpressibleByArgument {
    var endpoint: Endpoint

    init?(argument: String) {
        guard let endpoint = Endpoint(server: argument) else { return nil }
        self.endpoint = endpoint
    }

    static let help = ArgumentHelp(
        """
        A server whose sessions count, such as 10.0.0.5, 10.0.0.5:5433 or [2001:db8::5]:5433; may be repeated. Those with other \
        servers are counted apart, and nobody pays for them. Without it all servers on the ports count.
        """,
        valueName: "address[:port]"
    )
}

/// Who sends what a tunnel carries, as `--tunnel-from` names it.
struct TunnelSender: ExpressibleByArgument {
    var range: AddressRange

    init?(argument: String) {
        guard let range = AddressRange(argument) else { return nil }
        self.range = range
    }

    static let help = ArgumentHelp(
        """
        Who sends a tunnel's packets, such as 10.0.0.9 or 10.0.8.0/24: those of others are ignored; may be repeated.
        """,
        valueName: "address[/bits]"
    )
}

/// Such as `5432,6432`.
struct PortList: ExpressibleByArgument {
    var ports: [UInt16]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        ports = parts.compactMap { UInt16($0) }.filter { $0 > 0 }
        guard ports.count == parts.count else { return nil }
    }
}

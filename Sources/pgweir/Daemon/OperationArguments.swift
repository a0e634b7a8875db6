// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import Daemon
public import Telemetry
import Web

/// Where pages and metrics are served, what is kept for reports, and what may be shown: options of the daemon.
struct OperationArguments: ParsableArguments {
    @Option(
        name: .customLong("web.listen-address"),
        help: ArgumentHelp(
            "Where the page, /metrics and /api/v1 are served, or 'none'.",
            valueName: "host:port"
        )
    )
    var webListen = OperationConfiguration.standardAddress
    @Option(
        name: .customLong("web.config.file"),
        help: ArgumentHelp("TLS and passwords for it, as Prometheus exporters take them.", valueName: "file")
    )
    var webConfig: String?
    @Flag(help: "Keep no minutes for 'pgweir report'.") var noHistory = false
    @Option(help: ArgumentHelp("How long minutes are kept, in seconds or as 30d.", valueName: "time"))
    var historyRetention = Span(seconds: 30 * 86_400)
    @Option(help: ArgumentHelp("How large the history may grow.", valueName: "MiB")) var historyMaxSize: Int64 = 1024
    @Option(name: .customLong("log.level"), help: "What is logged: debug, info, warning or error.")
    var logLevel = LogLevel.info
    @Option(name: .customLong("log.format"), help: "The form of log lines: text, logfmt or json.")
    var logFormat = LogFormat.text
    @Option(help: "Where users appear by name: nowhere (hashed), on the page, or in logs and metrics too (plain).")
    var userNames = Privacy.UserNames.hashed
    @Option(help: "Whether the page and the history have the text of patterns, which holds no literal.")
    var queryText = Privacy.QueryText.normalized

    func validate() throws {
        guard webListen == "none" || WebOptions(address: webListen) != nil else {
            throw ValidationError("--web.listen-address must be host:port, such as 127.0.0.1:9932, or 'none'.")
        }
        guard (8...1_048_576).contains(historyMaxSize) else {
            throw ValidationError("--history-max-size must be from 8 to 1048576.")
        }
        guard (3600...63_072_000).contains(historyRetention.seconds) else {
            throw ValidationError("--history-retention must be from an hour to two years.")
        }
    }

    var configuration: OperationConfiguration {
        var configuration = OperationConfiguration()
        (configuration.webAddress, configuration.webFile) = (webListen, webConfig)
        configuration.noHistory = noHistory
        configuration.historyLimits = (historyRetention.seconds, historyMaxSize << 20)
        (configuration.logLevel, configuration.logFormat) = (logLevel, logFormat)
        configuration.privacy = Privacy(userNames: userNames, queryText: queryText)
        return configuration
    }
}

/// A time as `30d`, or in seconds.
struct Span: ExpressibleByArgument {
    var seconds: Int64

    init(seconds: Int64) { self.seconds = seconds }

    init?(argument: String) {
        if let seconds = Int64(argument) {
            self.seconds = seconds
        } else if let length = Length(argument: argument) {
            seconds = length.seconds
        } else {
            return nil
        }
    }

    var defaultValueDescription: String { "\(seconds / 86_400)d" }
}

extension LogLevel: ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
extension Privacy.UserNames: ExpressibleByArgument {}
extension Privacy.QueryText: ExpressibleByArgument {}

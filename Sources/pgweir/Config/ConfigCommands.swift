// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon
import Glibc
import Settings

/// `pgweir config`: check a configuration, show what holds, describe what there is.
struct ConfigCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Check the configuration, show what holds and where it comes from, or print its JSON Schema.",
        subcommands: [ConfigCheckCommand.self, ConfigPrintCommand.self, ConfigSchemaCommand.self]
    )
}

/// `pgweir config check`.
struct ConfigCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration and the files that it names; nothing is started.",
        discussion: """
            Reads it as 'pgweir run' does, with the variables of the environment over it.

            Exit codes: 0 good, 64 usage, 78 not good: file, line, column and what to write instead.
            """
    )

    @Argument(help: ArgumentHelp("The configuration (default: $PGWEIR_CONFIG).", valueName: "file")) var file: String?

    func run() throws {
        try explainingErrors {
            let settings = try ConfigurationFile.load(file)
            _ = try PolicySettings(settings, file: ConfigurationFile.path(file))
            let words = Launch.words(settings, besides: [])
            // A file of tiers and prices alone is fit for 'replay'.
            if settings.options["capture.interfaces"] != nil || settings.options["mode"] != nil {
                do {
                    _ = try RunCommand.parse(words)
                } catch {
                    Output.complain(
                        "\(ConfigurationFile.path(file) ?? "the environment"): \(RunCommand.message(for: error))"
                    )
                    throw Sysexit.configuration
                }
            }
            for key in ["web.config_file", "proxy.tls_cert", "proxy.tls_key", "proxy.upstream_ca"] {
                guard let given = settings.options[key], let path = given.words.last else { continue }
                guard unsafe access(path, R_OK) == 0 else {
                    throw SettingsError(
                        file: given.origin,
                        message: "the file '\(path)' of '\(key)' cannot be read: \(Output.message(errno))."
                    )
                }
            }
            try Output.write(Array("\(ConfigurationFile.path(file) ?? "the environment"): good\n".utf8))
        }
    }
}

/// `pgweir config print`.
struct ConfigPrintCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print",
        abstract: "Show what holds, value by value, and where each comes from; secrets are masked.",
        discussion: "The output is a configuration itself. Options of the command line go before all of it."
    )

    @Argument(help: ArgumentHelp("The configuration (default: $PGWEIR_CONFIG).", valueName: "file")) var file: String?

    func run() throws {
        try explainingErrors {
            try Output.write(Array(EffectiveConfiguration.yaml(try ConfigurationFile.load(file)).utf8))
        }
    }
}

/// `pgweir config schema`.
struct ConfigSchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print the JSON Schema of the configuration, for editors and checkers."
    )

    func run() throws { try Output.write(Array(ConfigurationSchema.json().utf8)) }
}

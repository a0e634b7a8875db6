// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

/// `pgweir agent`: sets the limits that daemons elsewhere decided, at the PgBouncer beside it.
struct AgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Beside a PgBouncer on another host: pull the limits that were decided from Redis, and set them.",
        discussion: """
            Listens nowhere. It needs the daemons' 'quota.key', for Redis has hashes of users only, and names those \
            users that PgBouncer itself knows. Limits end by their lease when Redis or the daemons are gone.

            Exit codes: 0 done, 64 usage, 69 Redis options, 78 configuration.
            """
    )

    @Option(
        help: ArgumentHelp(
            "The Redis of the daemons, as with 'pgweir run' (default: 'state.redis' of the configuration).",
            valueName: "URL"
        )
    ) var redis: String?
    @Option(
        help: ArgumentHelp(
            "The cluster's name (default: 'state.cluster' of the configuration, or main).",
            valueName: "name"
        )
    ) var cluster: String?
    @Option(help: ArgumentHelp("The daemons' configuration, with 'quota.key'.", valueName: "file")) var config: String
    @Option(help: ArgumentHelp("The folder for the audit (default: none).", valueName: "folder")) var state: String?
    @Option(help: ArgumentHelp("This agent's name (default: the host's).", valueName: "name")) var node: String?
    @OptionGroup var backends: BackendArguments

    func validate() throws {
        guard !backends.configuration.isEmpty else {
            throw ValidationError("Say what to limit: --pgbouncer, --role-limit or --dry-run.")
        }
    }

    func run() throws {
        var agent = LimitAgent(config: config, backends: backends.configuration)
        (agent.redis, agent.cluster, agent.state, agent.node) = (redis, cluster, state, node)
        try explainingErrors { try agent.run() }
    }
}

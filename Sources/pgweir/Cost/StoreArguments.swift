// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

/// Where prices are kept: the same for the daemon and for `pgweir cost`.
struct StoreArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The cluster's name, under which its prices are kept.", valueName: "name"))
    var cluster = "main"
    @Option(
        help: ArgumentHelp(
            """
            The folder for prices.sqlite, or 'none' to keep prices in memory only (default: $STATE_DIRECTORY, \
            /var/lib/pgweir for root, else ~/.local/state/pgweir).
            """,
            valueName: "folder"
        )
    )
    var state: String?
    @Option(
        help: ArgumentHelp(
            """
            Keep prices in Redis, which nodes can share: redis://host:6379/0, unix:///path?db=0, \
            redis+sentinel://host:26379/master or redis+cluster://host:6379. The password may stand in $REDISCLI_AUTH.
            """,
            valueName: "URL"
        )
    )
    var redis: String?

    func validate() throws {
        if let refusal = configuration.refusal { throw ValidationError(refusal) }
    }

    var configuration: StoreConfiguration { StoreConfiguration(cluster: cluster, state: state, redis: redis) }
}

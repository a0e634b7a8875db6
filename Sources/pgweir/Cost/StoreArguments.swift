// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Costs
import Domain
import Glibc
import RedisClient
import RedisStore
import SQLiteStore

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
        guard let redis else { return }
        do throws(RedisOptionsError) {
            _ = try RedisOptions(url: redis, password: Output.environment("REDISCLI_AUTH"))
        } catch {
            throw ValidationError(error.description)
        }
    }

    /// The folder, or `nil` for memory only.
    var folder: String? {
        if let state { return state == "none" ? nil : state }
        // systemd gives several, with colons between.
        if let given = Output.environment("STATE_DIRECTORY")?.split(separator: ":").first { return String(given) }
        if geteuid() == 0 { return "/var/lib/pgweir" }
        if let home = Output.environment("XDG_STATE_HOME"), home.hasPrefix("/") { return home + "/pgweir" }
        return Output.environment("HOME").map { $0 + "/.local/state/pgweir" }
    }

    /// The folder, made if it was not there; `nil` where there is none, or it cannot be written.
    var usableFolder: String? {
        guard let folder else { return nil }
        Self.makeFolder(folder)
        guard unsafe access(folder, W_OK | X_OK) == 0 else {
            StateHealth.note(.unusable("nothing can be kept in its folder: \(Output.message(errno))"), folder)
            return nil
        }
        return folder
    }

    /// Opens the store of a daemon; where no file can be opened or made, memory has to do.
    func openForDaemon() throws -> any CostStore {
        if redis != nil { return try open() }
        guard let folder = usableFolder else { return MemoryCostStore() }
        do throws(CostStoreError) {
            return try SQLiteCostStore(path: folder + "/prices.sqlite", report: StateHealth.report)
        } catch {
            StateHealth.note(.unusable("prices are kept in memory only: \(error)"), folder + "/prices.sqlite")
            return MemoryCostStore()
        }
    }

    /// Opens it, and makes the file where there is none.
    func open() throws -> any CostStore {
        if redis == nil, let folder { Self.makeFolder(folder) }
        return try openFile()
    }

    /// Opens what is there, to be looked at or changed.
    func openExisting() throws -> any CostStore {
        if redis == nil, let folder, unsafe access(folder + "/prices.sqlite", F_OK) != 0 {
            throw CostStoreError.unavailable(
                store: folder + "/prices.sqlite",
                reason: "no such file; name the daemon's --state or --redis"
            )
        }
        return try openFile()
    }

    private func openFile() throws -> any CostStore {
        if let redis { return try openRedis(redis) }
        guard let folder else { return MemoryCostStore() }
        return try SQLiteCostStore(path: folder + "/prices.sqlite")
    }

    private func openRedis(_ url: String) throws(CostStoreError) -> any CostStore {
        do {
            return try RedisCostStore(RedisOptions(url: url, password: Output.environment("REDISCLI_AUTH")))
        } catch {
            throw .unavailable(store: "Redis", reason: "\(error)")
        }
    }

    static func makeFolder(_ path: String) {
        var place = path.startIndex
        while let slash = path[place...].dropFirst().firstIndex(of: "/") {
            unsafe mkdir(String(path[..<slash]), 0o755)
            place = slash
        }
        unsafe mkdir(path, 0o750)
    }
}

// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain
import Glibc
import RedisClient
import RedisStore
import SQLiteStore

/// Where prices are kept, and the daemon's state: the same for the daemon and for `pgweir cost`.
public struct StoreConfiguration: Sendable {
    /// The cluster's name, under which its prices are kept.
    public var cluster: String
    /// The folder for the state, or `none` for memory only; `nil`: the usual one.
    public var state: String?
    /// The Redis that nodes share, as a URL.
    public var redis: String?

    /// The defaults, but what is given.
    public init(cluster: String = "main", state: String? = nil, redis: String? = nil) {
        (self.cluster, self.state, self.redis) = (cluster, state, redis)
    }

    /// What is wrong with the URL of the Redis, if anything is.
    public var refusal: String? {
        guard let redis else { return nil }
        do throws(RedisOptionsError) {
            _ = try RedisOptions(url: redis, password: Output.environment("REDISCLI_AUTH"))
            return nil
        } catch {
            return error.description
        }
    }

    /// The folder, or `nil` for memory only.
    public var folder: String? {
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
    func openForDaemon(else memory: MemoryCostStore) throws -> any CostStore {
        if redis != nil { return try open() }
        guard let folder = usableFolder else { return memory }
        do throws(CostStoreError) {
            return try SQLiteCostStore(path: folder + "/prices.sqlite", report: StateHealth.report)
        } catch {
            StateHealth.note(.unusable("prices are kept in memory only: \(error)"), folder + "/prices.sqlite")
            return memory
        }
    }

    /// Opens it, and makes the file where there is none.
    public func open() throws -> any CostStore {
        if redis == nil, let folder { Self.makeFolder(folder) }
        return try openFile()
    }

    /// Opens what is there, to be looked at or changed.
    public func openExisting() throws -> any CostStore {
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

// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// A time in which old connections are let go sooner.
struct Drain {
    let started: Double
    var deadline: Double
    /// For whom; a user who comes later moves the deadline.
    var users: Set<String>
}

/// A user whom draining did not help: when it is tried again, and how long that pause was.
struct Vain {
    var until: Double
    var pause: Double
}

extension PgBouncerBackend {
    /// Seconds that connections may live while draining; measured to replace 20 within 4 s without an error.
    static let lifetime = 5
    /// Seconds for which a drain is worth its price, and between two of them.
    static let patience = 8.0, pause = 30.0

    /// Users who have more connections than they may in an instance, and can be helped by draining.
    private var surplus: Set<String> {
        Set(file.limited.filter { user in !isBySession(user) && hasSurplus(user) })
    }

    /// Whether an instance has more connections of this user than it may have.
    func hasSurplus(_ user: String) -> Bool {
        guard let limit = file.entries[user]?.limit?.limit else { return false }
        return instances.contains { $0.isUp && ($0.users[user]?.connections ?? 0) > limit }
    }

    /// Whether the user's sessions hold on to their connections.
    func isBySession(_ user: String) -> Bool {
        instances.contains { $0.isUp && ($0.users[user]?.poolsBySession ?? false) }
    }

    /// Begins, goes on with, or ends the letting go of old connections.
    func driveDrain() {
        guard options.drain == .lifetime else { return }
        let now = System.monotonic()
        let surplus = surplus
        vain = vain.filter { surplus.contains($0.key) }
        if var drain {
            if !surplus.isSubset(of: drain.users) {
                drain.users.formUnion(surplus)
                drain.deadline = min(drain.started + 2 * Self.patience, now + Self.patience)
                self.drain = drain
            }
            guard surplus.isEmpty || now >= drain.deadline else {
                // A load since then brought back the operator's value.
                if options.globalsFile == nil { for instance in instances { shorten(instance) } }
                return
            }
            endDrain()
            for user in surplus {
                let pause = min(600, 2 * (vain[user]?.pause ?? Self.pause / 2))
                vain[user] = Vain(until: now + pause, pause: pause)
            }
            return
        }
        guard now >= nextDrain, surplus.contains(where: { (vain[$0]?.until ?? 0) <= now }), beginDrain() else { return }
        drain = Drain(started: now, deadline: now + Self.patience, users: surplus)
        (nextDrain, drains) = (now + Self.pause, drains &+ 1)
    }

    private func beginDrain() -> Bool {
        nextDrain = System.monotonic() + 5
        guard let globals = options.globalsFile else {
            for instance in instances { shorten(instance) }
            return instances.contains { $0.lifetimeBefore != nil }
        }
        // The operator's may be as short already; ours must not be longer.
        guard instances.contains(where: { $0.isUp && isLong($0.config["server_lifetime"]) }) else { return false }
        do throws(PgBouncerError) {
            try PlainFile.replace(globals, with: Array("server_lifetime = \(Self.lifetime)\n".utf8))
        } catch {
            drainProblem = error.description
            return false
        }
        let isHeeded = reloadGlobals { $0 == String(Self.lifetime) }
        drainProblem = isHeeded ? nil : "PgBouncer does not heed \(globals): include it in the last line of [pgbouncer]"
        if !isHeeded { endDrain() }
        return isHeeded
    }

    /// Gives the operator's `server_lifetime` back.
    func endDrain() {
        drain = nil
        guard let globals = options.globalsFile else {
            for instance in instances { restoreLifetime(instance) }
            return
        }
        do throws(PgBouncerError) { try PlainFile.replace(globals, with: []) } catch {
            drainProblem = error.description
            return
        }
        _ = reloadGlobals { $0 != String(Self.lifetime) }
    }

    /// Loads on all instances; returns whether one shows a lifetime that is as it should be.
    private func reloadGlobals(until isRight: (String) -> Bool) -> Bool {
        var isDone = false
        for instance in instances {
            do throws(LoadFailure) { try instance.reload() } catch { continue }
            guard instance.isUp else { continue }
            let isSeen = System.wait(seconds: Console.patience) {
                (try? instance.readConfig()) == nil || isRight(instance.config["server_lifetime"] ?? "")
            }
            if isSeen, instance.isUp { isDone = true }
        }
        return isDone
    }

    /// Whether connections may live longer than while draining.
    private func isLong(_ lifetime: String?) -> Bool { Double(lifetime ?? "") ?? 0 > Double(Self.lifetime) }

    /// Sets a short lifetime by SET, which the next RELOAD undoes, unless the operator's is as short.
    private func shorten(_ instance: Instance) {
        guard instance.isUp else { return }
        do throws(PostgresError) {
            try instance.readConfig()
            guard let text = instance.config["server_lifetime"], isLong(text) else { return }
            _ = try instance.console.run("SET server_lifetime=\(Self.lifetime)")
            instance.lifetimeBefore = text
            drainProblem = nil
        } catch {
            drainProblem = "old connections cannot be let go: \(error); name a globals file or an admin's console"
        }
    }

    /// Undoes `shorten`; tried again each time until it is done.
    func restoreLifetime(_ instance: Instance) {
        guard let before = instance.lifetimeBefore, instance.console.open() else { return }
        do throws(PostgresError) {
            try instance.readConfig()
            // Otherwise a RELOAD did it, perhaps with a new value.
            if instance.config["server_lifetime"] == String(Self.lifetime) {
                _ = try instance.console.run("SET server_lifetime=\(before)")
            }
            instance.lifetimeBefore = nil
        } catch {
            drainProblem = "server_lifetime is still \(Self.lifetime) s: \(error)"
        }
    }
}

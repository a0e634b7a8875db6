// SPDX-License-Identifier: Apache-2.0
import Platform
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
    /// PgBouncer's own `server_lifetime`, where the operator's configuration has none.
    private static let standardLifetime = "3600"
    /// Seconds for which a drain is worth its price, and between two of them for the same limits.
    static let patience = 8.0, pause = 30.0
    /// For new or lower limits a drain begins at once, but no more than so many a minute: all users pay for them.
    private static let mostDrains = 10

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

    /// Whether nobody drained for this user's limit yet: it is new, or lower than it was.
    private func isFresh(_ user: String) -> Bool {
        (file.entries[user]?.limit?.limit ?? .max) < drained[user] ?? .max
    }

    /// Begins, goes on with, or ends the letting go of old connections.
    func driveDrain() {
        guard options.drain == .lifetime else { return }
        let now = SystemClock.now()
        let surplus = surplus
        vain = vain.filter { surplus.contains($0.key) && !isFresh($0.key) }
        drained = drained.filter { file.entries[$0.key]?.limit != nil }
        if var drain {
            let late = surplus.filter { !drain.users.contains($0) || isFresh($0) }
            if !late.isEmpty {
                drain.users.formUnion(late)
                for user in late { drained[user] = file.entries[user]?.limit?.limit }
                drain.deadline = min(drain.started + 2 * Self.patience, now + Self.patience)
                self.drain = drain
            }
            guard surplus.isEmpty || now >= drain.deadline else {
                // A load since then brought back the operator's value.
                for instance in instances where instance.lifetimeBefore != nil { _ = shorten(instance) }
                return
            }
            endDrain()
            for user in surplus {
                let pause = min(600, 2 * (vain[user]?.pause ?? Self.pause / 2))
                vain[user] = Vain(until: now + pause, pause: pause)
            }
            return
        }
        // One that has begun ends in any case: it keeps logins under way, and a load waits for a moment without.
        guard isLoaded else { return }
        recentDrains.removeAll { now - $0 > 60 }
        let isDue =
            surplus.contains(where: isFresh) && recentDrains.count < Self.mostDrains
            || now >= nextDrain && surplus.contains { (vain[$0]?.until ?? 0) <= now }
        guard isDue, now >= earliestDrain, beginDrain() else { return }
        drain = Drain(started: now, deadline: now + Self.patience, users: surplus)
        for user in surplus { drained[user] = file.entries[user]?.limit?.limit }
        recentDrains.append(now)
        (nextDrain, drains) = (now + Self.pause, drains &+ 1)
    }

    /// Gives connections a short life where that helps: by SET, which loads nothing, or else by the file of globals.
    private func beginDrain() -> Bool {
        let overfull = instances.filter { instance in
            // One that replaces all connections at each load has none left that are older than the limit.
            instance.isUp && !instance.recyclesAtReload && isLong(instance.config["server_lifetime"])
                && file.limited.contains { user in
                    (instance.users[user]?.connections ?? 0) > file.entries[user]?.limit?.limit ?? .max
                }
        }
        guard !overfull.isEmpty else { return false }
        drainProblem = nil
        let refused = overfull.filter { !shorten($0) && $0.isUp }
        guard !refused.isEmpty else { return true }
        guard let globals = options.globalsFile else {
            earliestDrain = SystemClock.now() + 5
            drainProblem =
                "old connections cannot be let go: name a file of globals, or a console of one of admin_users"
            return refused.count < overfull.count
        }
        do throws(LoadFailure) {
            for instance in refused { try instance.awaitQuiet() }
            do throws(PgBouncerError) {
                try PlainFile.replace(globals, with: Array("server_lifetime = \(Self.lifetime)\n".utf8))
                holdsLifetime = true
            } catch { throw .refused(error.description) }
            var isHeeded = false
            for instance in refused where try reloads(instance, until: { $0 == String(Self.lifetime) }) {
                isHeeded = true
            }
            if isHeeded { return true }
            drainProblem = "PgBouncer does not heed \(globals): include it in the last line of [pgbouncer]"
        } catch {
            // A moment without logins at servers comes; everything else is a problem.
            if case .busy = error {} else { drainProblem = error.reason }
        }
        earliestDrain = SystemClock.now() + (drainProblem == nil ? 0.2 : 5)
        endDrain()
        return false
    }

    /// Gives the operator's `server_lifetime` back.
    func endDrain() {
        drain = nil
        settleLifetimes()
    }

    /// Undoes what a drain left, here or in an earlier life; tried again each time until it is done.
    func settleLifetimes() {
        for instance in instances { restoreLifetime(instance) }
        if holdsLifetime, let globals = options.globalsFile {
            do throws(PgBouncerError) { try PlainFile.replace(globals, with: []) } catch {
                drainProblem = error.description
                return
            }
            holdsLifetime = false
            owesLifetime = Set(instances.indices.filter { instances[$0].lifetimeBefore == nil })
        }
        for index in owesLifetime {
            let instance = instances[index]
            // One that is away reads the file when it is back.
            guard instance.isUp, instance.config["server_lifetime"] == String(Self.lifetime) else {
                owesLifetime.remove(index)
                continue
            }
            do throws(LoadFailure) {
                if try reloads(instance, until: { $0 != String(Self.lifetime) }) { owesLifetime.remove(index) }
            } catch {
                if case .busy = error { continue }
                drainProblem = "server_lifetime is still \(Self.lifetime) s: \(error.reason)"
                owesLifetime.remove(index)
            }
        }
    }

    /// Has an instance load its files; returns whether it shows a lifetime that is as it should be.
    private func reloads(_ instance: Instance, until isRight: (String) -> Bool) throws(LoadFailure) -> Bool {
        try instance.reload()
        guard instance.isUp else { return false }
        let isSeen = System.wait(seconds: Console.patience) {
            (try? instance.readConfig()) == nil || isRight(instance.config["server_lifetime"] ?? "")
        }
        return isSeen && instance.isUp
    }

    /// Whether connections may live longer than while draining.
    private func isLong(_ lifetime: String?) -> Bool { Double(lifetime ?? "") ?? 0 > Double(Self.lifetime) }

    /// Sets a short lifetime by SET, which the next load undoes, unless the operator's is as short; false: it is refused.
    private func shorten(_ instance: Instance) -> Bool {
        guard instance.isUp, !instance.isReadOnly else { return false }
        do throws(PostgresError) {
            try instance.readConfig()
            guard let text = instance.config["server_lifetime"], isLong(text) else { return true }
            _ = try instance.console.run("SET server_lifetime=\(Self.lifetime)")
            instance.lifetimeBefore = text
            return true
        } catch {
            return false
        }
    }

    private func restoreLifetime(_ instance: Instance) {
        if instance.lifetimeBefore == nil { instance.lifetimeBefore = leftover(instance) }
        guard let before = instance.lifetimeBefore, instance.console.open() else { return }
        do throws(PostgresError) {
            try instance.readConfig()
            // Otherwise a RELOAD did it, perhaps with a new value.
            if instance.config["server_lifetime"] == String(Self.lifetime) {
                _ = try instance.console.run("SET server_lifetime=\(before)")
                try instance.readConfig()
            }
            instance.lifetimeBefore = nil
        } catch {
            drainProblem = "server_lifetime is still \(Self.lifetime) s: \(error)"
        }
    }

    /// The operator's lifetime, where the PgBouncer has ours: a drain in an earlier life was cut short.
    private func leftover(_ instance: Instance) -> String? {
        guard instance.isUp, operatorProblem == nil, instance.config["server_lifetime"] == String(Self.lifetime) else {
            return nil
        }
        let lifetimes = Set(operatorFiles.values.map { $0.lifetime ?? Self.standardLifetime })
        guard lifetimes.count == 1, let lifetime = lifetimes.first, isLong(lifetime) else { return nil }
        if instance.isReadOnly {
            // It may SHOW only: loading its files does it as well.
            if let index = instances.firstIndex(where: { $0 === instance }) { owesLifetime.insert(index) }
            return nil
        }
        return lifetime
    }
}

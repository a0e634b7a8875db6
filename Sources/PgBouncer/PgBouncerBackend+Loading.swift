// SPDX-License-Identifier: Apache-2.0
import Domain
import Platform

extension PgBouncerBackend {
    /// Reads the file that is there when we start.
    func adopt(_ now: Timestamp) {
        stamp = FileStamp(options.limitsFile)
        do throws(PgBouncerError) { written = try PlainFile.read(options.limitsFile) } catch { written = nil }
        let reading = IncludeFile.parse(written ?? [])
        (file, isBlank, mustLoad) = (reading.file, reading.isBlank, !reading.damage.isEmpty)
        lastGood = reading.damage.isEmpty ? written ?? [] : file.released().render()
        if reading.damage.isEmpty, file.isFresh(now) {
            applied = (file.generation, Timestamp(nanoseconds: file.expires &* 1_000_000_000))
        }
        serial = Self.number(file.acknowledgement)
        if let globals = options.globalsFile, (try? PlainFile.read(globals))?.isEmpty != true {
            // What a drain of somebody before us left there, or nothing at all: PgBouncer does not start without it.
            do throws(PgBouncerError) { try PlainFile.replace(globals, with: []) } catch {
                drainProblem = error.description
            }
            owesLifetime = Set(instances.indices)
        }
    }

    /// The number of the load in an acknowledgement.
    private static func number(_ acknowledgement: String) -> UInt64 {
        acknowledgement.split(separator: "_").last.flatMap { UInt64($0) } ?? 0
    }

    /// Sees whether somebody else wrote the file: a hand, the guard, another of us.
    func noticeChange(_ now: Timestamp) {
        let current = FileStamp(options.limitsFile)
        guard current != stamp || current == nil else { return }
        stamp = current
        guard let bytes = try? PlainFile.read(options.limitsFile), bytes == written, current != nil else {
            let bytes = (try? PlainFile.read(options.limitsFile)) ?? []
            let reading = IncludeFile.parse(bytes)
            serial = max(serial, Self.number(reading.file.acknowledgement))
            if reading.damage.isEmpty, reading.file.isFresh(now), reading.file.generation > applied.generation {
                // Limits of whoever decides now; ours are older, and carrying them out would undo those.
                applied = (reading.file.generation, Timestamp(nanoseconds: reading.file.expires &* 1_000_000_000))
                (file, isBlank, mustLoad) = (reading.file, reading.isBlank, false)
                (written, lastGood) = (bytes, bytes)
                return
            }
            mustLoad = true
            // Lines that are not ours may have been loaded: they are taken back.
            for (user, entry) in reading.file.entries where file.entries[user] == nil {
                file.entries[user] = IncludeFile.Entry(limit: nil, release: entry.release)
            }
            return
        }
    }

    /// Brings the file, and the instances, to where the plan wants them.
    func carryOut(_ plan: Plan, _ now: Timestamp, renews: Bool) {
        if mustLoad || plan.entries != file.entries {
            guard SystemClock.now() >= retry.at else { return }
            var entries = plan.entries
            for user in prunable where entries[user]?.limit == nil { entries[user] = nil }
            return load(entries, now)
        }
        if renews { renew(now) }
        let behind = instances.filter { $0.isUp && $0.acknowledgement != expected }
        // The failure is over once all have the file, not before: a load that keeps failing is tried ever more rarely.
        if behind.isEmpty { (failure, delay, retry) = (nil, nil, (0, 0)) }
        // A file that was emptied does not say whom the PgBouncer still limits; one that we write does.
        if isBlank, !behind.isEmpty { return load(plan.entries.merging(strays()) { first, _ in first }, now) }
        for instance in behind { catchUp(instance) }
    }

    /// Releases of users whom a PgBouncer limits otherwise than the operator's configuration does.
    private func strays() -> [String: IncludeFile.Entry] {
        var entries: [String: IncludeFile.Entry] = [:]
        for instance in instances where instance.version?.tellsLimits ?? false {
            for (name, user) in instance.users {
                guard let told = user.limit, told > 0, let baseline = baseline(of: name),
                    told != baseline.limit ?? standard ?? 0,
                    UserName.refusal(name, version: instance.version) == nil
                else { continue }
                entries[name] = IncludeFile.Entry(limit: nil, release: baseline.release)
            }
        }
        return entries
    }

    /// Writes new entries and has all instances load them; what was there before comes back when one does not.
    func load(_ entries: [String: IncludeFile.Entry], _ now: Timestamp) {
        guard !instances.contains(where: { $0.version?.refusal != nil }) else { return }
        // Nothing is written that could not be loaded at once.
        do throws(LoadFailure) { for instance in instances { try instance.awaitQuiet() } } catch {
            // One that was lost just now is planned for next time.
            if case .busy(let reason) = error { delay = reason }
            return
        }
        // Another process may have written meanwhile: that is looked at first.
        guard FileStamp(options.limitsFile) == stamp else { return }
        let second = max(0, now.nanoseconds / 1_000_000_000)
        // Also other than what a forgotten life of ours gave.
        serial = max(serial &+ 1, UInt64(clamping: second))
        var next = file
        (next.generation, next.entries) = (applied.generation, entries)
        next.expires = applied.expires.nanoseconds / 1_000_000_000
        next.acknowledgement = "gen_\(next.generation)_\(serial)"
        do throws(PgBouncerError) { try put(next.render()) } catch { return fail(error.description) }
        var (reasons, waiting): ([String], String?) = ([], nil)
        for instance in instances {
            let wasUp = instance.isUp
            do throws(LoadFailure) { try instance.load(next.acknowledgement) } catch {
                if case .busy(let reason) = error {
                    // It has the file, and reads it in a moment.
                    waiting = reason
                    continue
                }
                // One that was away before may be so now; one that was lost just now may have died of what it read.
                if wasUp { reasons.append(error.reason) }
            }
        }
        guard reasons.isEmpty else {
            restore()
            return fail("PgBouncer did not load the limits: " + reasons.joined(separator: "; "))
        }
        if instances.contains(where: { $0.isUp && $0.acknowledgement == next.acknowledgement }) { loads &+= 1 }
        (file, isBlank, lastGood, mustLoad, changeProblem) = (next, false, written ?? [], false, nil)
        (failure, delay, retry, renewed) = (nil, waiting, (0, 0), SystemClock.now())
        prunable.formIntersection(entries.keys)
        for instance in instances { instance.sample(atMostEvery: 0) }
    }

    private func put(_ bytes: [UInt8]) throws(PgBouncerError) {
        try PlainFile.replace(options.limitsFile, with: bytes)
        (written, stamp) = (bytes, FileStamp(options.limitsFile))
    }

    /// Puts the last content back that all instances had loaded, so that they can be restarted with it.
    private func restore() {
        do throws(PgBouncerError) { try put(lastGood) } catch {
            changeProblem = error.description
            return
        }
        for instance in instances {
            // It may fail again for the same reason; what counts is that the file is one that was good.
            do throws(LoadFailure) { try instance.reload() } catch {}
            instance.forget()
        }
    }

    private func fail(_ reason: String) {
        (failure, failures) = (reason, failures &+ 1)
        retry.pause = min(30, max(1, retry.pause * 2))
        retry.at = SystemClock.now() + retry.pause
    }

    /// Says in the first line that the limits go on; no RELOAD, as PgBouncer does not read that line.
    private func renew(_ now: Timestamp) {
        let second = now.nanoseconds / 1_000_000_000
        let expires = applied.expires.nanoseconds / 1_000_000_000
        guard !file.limited.isEmpty, expires != file.expires || applied.generation != file.generation else { return }
        guard FileStamp(options.limitsFile) == stamp else { return }
        let isDue = SystemClock.now() - renewed >= 10 || (file.expires - second) * 2 < expires - second
        guard isDue || expires < file.expires else { return }
        var next = file
        (next.expires, next.generation) = (expires, applied.generation)
        do throws(PgBouncerError) {
            try put(next.render())
            (file, lastGood, renewed, changeProblem) = (next, written ?? [], SystemClock.now(), nil)
        } catch { changeProblem = "the limits cannot be renewed: \(error)" }
    }

    /// Has an instance load the file that came back after others had done so.
    func catchUp(_ instance: Instance) {
        guard SystemClock.now() >= retry.at else { return }
        do throws(LoadFailure) {
            try instance.load(file.acknowledgement)
            instance.sample(atMostEvery: 0)
            loads &+= 1
            (failure, delay, retry) = (nil, nil, (0, 0))
        } catch {
            if case .busy(let reason) = error {
                delay = reason
                return
            }
            fail("PgBouncer did not load the limits: \(error.reason)")
        }
    }
}

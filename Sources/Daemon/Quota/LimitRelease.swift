// SPDX-License-Identifier: Apache-2.0
import CLinux
import Control
import Domain
import Glibc
import PgBouncer
import Platform
import Quotas
import Settings

/// What `pgweir quota release-all` does: it lifts all limits by the daemon, and where none answers by itself.
public struct LimitRelease {
    /// The daemon's local socket.
    public var socket: String
    /// What the daemon is told besides.
    public var options: [String: String]
    /// Limit as usual again.
    public var resume: Bool
    /// The daemon's configuration, where no daemon answers.
    public var config: String?
    /// The files, consoles and pidfiles that were named.
    public var limits: String?, limitsGlobals: String?, pgbouncer: [String] = [], pgbouncerPid: [String] = []

    /// What is asked of the daemon at this socket.
    public init(socket: String, options: [String: String], resume: Bool) {
        (self.socket, self.options, self.resume) = (socket, options, resume)
    }

    /// How long confirmations are waited for, in seconds.
    private static let patience = 25.0

    /// Lifts them.
    ///
    /// - Throws: ``ControlError`` where only a daemon could do what was asked; else the exit code for the whole program.
    public func run() throws {
        let said: [UInt8]
        do throws(ControlError) {
            said = try ask("release-all", options)
        } catch {
            if resume { throw error }
            Output.complain("\(error)")
            return try releaseDirectly()
        }
        try Output.write(said)
        if resume { return }
        var isConfirmed = try awaitConfirmation()
        // The file that was named besides is another one than the daemon's, or the same: then it has no limits any more.
        if limits != nil { isConfirmed = try releases(files) && isConfirmed }
        if !isConfirmed { throw Sysexit.tryAgain }
    }

    private func ask(_ verb: String, _ options: [String: String] = [:]) throws(ControlError) -> [UInt8] {
        var all = options
        all["do"] = verb
        return try ControlClient.ask(ControlRequest("quota", all), at: socket)
    }

    // MARK: With a daemon

    private struct Place {
        var state: Substring, name: Substring, reason: Substring

        init?(_ line: Substring) {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 3 else { return nil }
            (state, name, reason) = (fields[0], fields[1], fields[2])
        }
    }

    /// Waits until all places confirm, and tells how each stands; returns whether all did.
    private func awaitConfirmation() throws -> Bool {
        let end = SystemClock.now() + Self.patience
        var places: [Place] = []
        repeat {
            do throws(ControlError) {
                let answer = String(decoding: try ask("releases"), as: UTF8.self)
                places = answer.split(separator: "\n").compactMap { Place($0) }
            } catch {
                Output.complain("the daemon does not say what came of it: \(error)")
                return false
            }
            if places.allSatisfy({ $0.state == "confirmed" }) { break }
            SystemClock.sleep(seconds: 0.2)
        } while SystemClock.now() < end
        for place in places {
            switch place.state {
            case "confirmed": Output.complain("\(place.name): confirmed, nobody is limited.")
            case "waiting":
                Output.complain("\(place.name): not confirmed yet\(place.reason.isEmpty ? "" : " (\(place.reason))").")
            default: Output.complain("\(place.name): limits may be left: \(place.reason)")
            }
        }
        if places.isEmpty { Output.complain("this daemon sets no limits itself, and no agent said that it does.") }
        let isConfirmed = places.allSatisfy { $0.state == "confirmed" }
        if !isConfirmed { Output.complain(Self.remedy) }
        return isConfirmed
    }

    private static let remedy =
        "to end what is left: 'pgweir guard --release --limits FILE --pgbouncer-pid PIDFILE' on PgBouncer's host, or empty "
        + "[users] lines of FILE by hand to 'USER = max_user_connections=0' and RELOAD."

    // MARK: Without one

    /// Where limits stand, as far as that is known here.
    private struct Files {
        var limits: String?
        var globals: String?
        var consoles: [String] = []
        var pidFiles: [String] = []
    }

    private var files: Files {
        Files(limits: limits, globals: limitsGlobals, consoles: pgbouncer, pidFiles: pgbouncerPid)
    }

    private func releaseDirectly() throws {
        var files = files
        if files.limits == nil, let configured = configured() { files = configured }
        guard files.limits != nil else {
            Output.complain(
                "no daemon was told, and no file of limits is known: name --limits, or the daemon's --config."
            )
            throw Sysexit.unavailable
        }
        let isConfirmed = try releases(files)
        Output.complain(
            "no daemon was told: if one runs elsewhere, it may set limits again; stop it, or its --pgbouncer."
        )
        if !isConfirmed { throw Sysexit.tryAgain }
    }

    /// The files that the configuration names.
    private func configured() -> Files? {
        let usual = "/etc/pgweir/pgweir.yaml"
        let path = ConfigurationFile.path(config) ?? (unsafe access(usual, R_OK) == 0 ? usual : nil)
        guard let path else { return nil }
        do throws(SettingsError) {
            let options = try ConfigurationFile.load(path).options
            func words(_ key: String) -> [String] {
                // Each value follows its option.
                (options[key]?.words ?? []).enumerated().compactMap { $0.offset % 2 == 1 ? $0.element : nil }
            }
            let limits = words("enforcement.limits").first
            return Files(
                limits: limits,
                globals: words("enforcement.limits_globals").first,
                consoles: words("enforcement.pgbouncer"),
                pidFiles: words("enforcement.pgbouncer_pid")
            )
        } catch {
            Output.complain("\(error)")
            return nil
        }
    }

    /// Lifts the limits of a file; returns whether PgBouncer confirms it.
    private func releases(_ files: Files) throws -> Bool {
        guard let limits = files.limits else { return true }
        guard files.consoles.isEmpty else { return releasesByConsole(limits, files) }
        var watch = Guard(file: limits, globals: files.globals, pidFiles: files.pidFiles)
        do throws(PgBouncerError) {
            switch try watch.check(now: SystemClock.time(), release: true) {
            case .released(let users), .damaged(let users):
                Output.complain("released \(users.count) users in \(limits).")
            default: Output.complain("nobody is limited in \(limits).")
            }
        } catch {
            Output.complain(error.description)
            throw Sysexit.ioError
        }
        let reach = watch.reach()
        if let problem = reach.problem { Output.complain(problem) }
        switch (files.pidFiles.isEmpty, reach.count) {
        case (false, 0) where reach.problem == nil:
            let names = files.pidFiles.joined(separator: ", ")
            Output.complain("no PgBouncer runs with \(names): it starts without limits.")
            return true
        case (false, 1...):
            Output.complain("PgBouncer was told to load it, and nobody read back whether it did: name its --pgbouncer.")
        default: Output.complain("PgBouncer was not told: RELOAD it, or name its --pgbouncer or --pgbouncer-pid.")
        }
        return false
    }

    private func releasesByConsole(_ limits: String, _ files: Files) -> Bool {
        let instances = files.consoles.enumerated().map { index, console in
            PgBouncerOptions.Instance(
                console: console,
                pidFile: index < files.pidFiles.count ? files.pidFiles[index] : nil
            )
        }
        let options = PgBouncerOptions(instances: instances, limitsFile: limits, globalsFile: files.globals)
        let backend = PgBouncerBackend(options, now: SystemClock.time())
        let count = backend.limitedUsers.count
        if let problem = backend.releaseAll(now: SystemClock.time()) {
            Output.complain("\(limits): limits may be left: \(problem)")
            Output.complain(Self.remedy)
            return false
        }
        Output.complain("released \(count) users in \(limits): confirmed by PgBouncer, nobody is limited.")
        return true
    }
}

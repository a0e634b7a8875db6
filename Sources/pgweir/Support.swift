// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import Pipeline
import Reports
import Settings
import Synchronization

/// ^C and SIGTERM: ask to stop and report; a second one ends the program at once.
enum Interrupt {
    private static let requests = Atomic<Int>(0)
    private static let reloads = Atomic<Int>(0)

    static var isRequested: Bool { requests.load(ordering: .relaxed) > 0 }

    /// Whether SIGHUP came since the last time this was asked.
    static func takeReload() -> Bool { reloads.exchange(0, ordering: .relaxed) > 0 }

    /// Takes SIGHUP for "read the configuration again" from now on.
    static func installReload() {
        signal(SIGHUP) { _ in Interrupt.reloads.add(1, ordering: .relaxed) }
    }

    static func install() {
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                if Interrupt.requests.add(1, ordering: .relaxed).newValue > 1 { _exit(128 + number) }
            }
        }
    }
}

/// A bar on standard error that is redrawn at most ten times a second.
final class ProgressBar: Sendable {
    private struct State {
        var last = 0.0
        var isDrawn = false
    }

    private let isShown: Bool
    private let state = Mutex(State())
    private static let width = 30

    init(isShown: Bool) {
        self.isShown = isShown
    }

    func show(_ progress: ReplayProgress) {
        guard isShown else { return }
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        let now = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        let line: String? = state.withLock { state in
            if state.last == 0 { state.last = now + 0.4 }  // short replays show none
            guard now - state.last >= 0.1 else { return nil }
            state.last = now
            state.isDrawn = true
            return Self.line(progress)
        }
        if let line { try? Output.write(Array(line.utf8), to: 2) }
    }

    func clear() {
        guard state.withLock({ $0.isDrawn }) else { return }
        try? Output.write(Array("\r\u{1B}[K".utf8), to: 2)
    }

    private static func line(_ progress: ReplayProgress) -> String {
        let megabytes = "\(progress.consumed / 1_000_000) MB, \(progress.packets) packets"
        guard let size = progress.size, size > 0 else { return "\r\u{1B}[K" + megabytes }
        let share = min(1, Double(progress.consumed) / Double(size))
        let filled = Int(share * Double(width))
        let bar = String(repeating: "█", count: filled) + String(repeating: "·", count: width - filled)
        return "\r\u{1B}[K\(bar) \(Int(share * 100)) %  \(megabytes)"
    }
}

/// The first failure to write, kept for the end.
final class FailureBox: Sendable {
    /// A recorder of lines on standard output that ends when they cannot be written.
    func recorder() -> NDJSONRecorder {
        NDJSONRecorder { [self] bytes in
            guard code == nil else { return }
            do throws(ExitCode) { try Output.write(bytes) } catch { code = error }
        }
    }

    private let stored = Mutex<ExitCode?>(nil)

    var code: ExitCode? {
        get { stored.withLock { $0 } }
        set { stored.withLock { $0 = newValue } }
    }
}

/// Something that happens once.
final class OneTime: Sendable {
    private let isRaised = Atomic<Bool>(false)

    /// Raises it; whether it was up before.
    func raise() -> Bool { isRaised.exchange(true, ordering: .relaxed) }
}

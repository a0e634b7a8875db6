// SPDX-License-Identifier: Apache-2.0
import Daemon
import Glibc
import Pipeline
import Platform
import Synchronization

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
        let now = SystemClock.now()
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

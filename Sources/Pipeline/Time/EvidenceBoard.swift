// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Synchronization

/// What workers tell each other about time: all of them settle long statements by what any of them saw.
///
/// It is no outbox, as it is not taken away: each worker adds what is new once a second, and looks at all of it.
final class EvidenceBoard: Sendable {
    private struct State {
        var evidence = TimeEvidence()
        /// The latest time that was told, ns of packet time.
        var latest = Int64.min
    }

    private let state = Mutex(State())

    /// What is older is forgotten, ns of packet time: longer statements are judged by the minutes before their end.
    private static var memory: Int64 { 120_000_000_000 }

    /// A worker tells what it knows, up to a packet's time, and is told what all of them do.
    func exchange(_ evidence: TimeEvidence, at time: Int64) -> TimeEvidence {
        state.withLock { state in
            state.evidence.add(evidence)
            if time &- state.latest > 1_000_000_000 || state.latest == .min {
                state.latest = time
                state.evidence.forget(before: time &- Self.memory)
            }
            state.evidence.sort()
            return state.evidence
        }
    }

    /// What found no room: of so many statements and transactions less is known.
    var lost: UInt64 { state.withLock { $0.evidence.lost } }

    /// How much slower than usual the statements of all tenants were in the last seconds.
    var load: Load {
        state.withLock { state in
            guard state.latest != .min else { return .none }
            return state.evidence.load(on: .unknown, from: state.latest &- 10_000_000_000, to: state.latest)
        }
    }
}

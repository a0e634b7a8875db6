// SPDX-License-Identifier: Apache-2.0
public import RelayRing
import Synchronization

/// Hands the rings of relays to workers, as relays come and go.
public final class RelayFeed: Sendable {
    /// The rings of one relay, from its attachment to its end.
    public final class Attachment: Sendable {
        private let over = Atomic<Bool>(false)

        /// The relay is gone: nothing more comes, and its connections are over once the rings are empty.
        public func end() { over.store(true, ordering: .releasing) }

        var isOver: Bool { over.load(ordering: .acquiring) }
    }

    struct Ring: Sendable {
        var reader: RingReader
        var attachment: Attachment
    }

    private let version = Atomic<Int>(0)
    private let waiting: Mutex<[[Ring]]>

    /// A feed for `workers` workers.
    public init(workers: Int) { waiting = Mutex(Array(repeating: [], count: workers)) }

    /// Shares the rings of a relay out among the workers.
    public func attach(_ readers: [RingReader]) -> Attachment {
        let attachment = Attachment()
        waiting.withLock { waiting in
            for (index, reader) in readers.enumerated() {
                waiting[index % waiting.count].append(Ring(reader: reader, attachment: attachment))
            }
        }
        version.add(1, ordering: .releasing)
        return attachment
    }

    /// The rings that are new to a worker.
    func take(_ worker: Int, _ seen: inout Int) -> [Ring] {
        let now = version.load(ordering: .acquiring)
        guard now != seen else { return [] }
        seen = now
        return waiting.withLock { waiting in
            defer { waiting[worker] = [] }
            return waiting[worker]
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Platform
import Synchronization

/// What a command changes, and what of several that wait is kept: so that commands are never refused, and yet bounded.
struct WorkerCommand: Hashable, Sendable {
    enum Bound: Hashable {
        /// A later command takes the place of one that waits.
        case latest
        /// Commands wait up to this weight; beyond it the oldest ones go, and are counted.
        case weight(Int)
    }

    let name: String
    let bound: Bound

    /// The later one holds.
    static func latest(_ name: String) -> WorkerCommand { WorkerCommand(name: name, bound: .latest) }

    /// All of them hold, up to `weight`.
    static func each(_ name: String, weight: Int) -> WorkerCommand { WorkerCommand(name: name, bound: .weight(weight)) }
}

/// The caller that waits for the answer to a question.
protocol Asker: AnyObject, Sendable {
    /// Whether the caller stopped waiting.
    var hasGivenUp: Bool { get }
    /// A worker will not answer.
    func decline()
}

/// What is to be done between a worker's packets: closures that get the worker's state, in the order in which they came.
///
/// Others put questions and commands in and wake the worker. The worker looks at one atomic number a turn, and only if something
/// waits it takes all of it out under the lock, and runs it without. Questions are refused when too many wait, and dropped
/// when their caller has given up; commands are neither, but those of a kind are bounded (``WorkerCommand``).
final class Mailbox<State: ~Copyable>: Sendable {
    typealias Body = @Sendable (inout State) -> Void

    private struct Item {
        var body: Body
        /// `nil`: a command.
        var asker: (any Asker)?
        var kind: WorkerCommand?
        var weight = 0
    }

    private struct Queue {
        var items: [Item] = []
        /// Questions that wait, or are being answered.
        var questions = 0
        /// What commands of a kind weigh that wait.
        var weights: [WorkerCommand: Int] = [:]
        var dropped: UInt64 = 0
        var isClosed = false
        /// Makes a state that answers for a worker that has ended.
        var last: (@Sendable () -> State)?
    }

    /// Wakes the worker.
    let wakeUp = WakeUp()
    private let queue = Mutex(Queue())
    private let count = Atomic<Int>(0)
    private let limit: Int

    /// A mailbox for at most `limit` questions.
    init(limit: Int = 64) { self.limit = limit }

    // MARK: Others

    /// Puts a question; where too many wait, or the worker is gone, the asker is told that there will be no answer.
    ///
    /// Of a worker that left a last state it is answered from that, on the caller's thread.
    func ask(_ asker: any Asker, _ body: @escaping Body) {
        let (isTaken, last) = queue.withLock { queue in
            if queue.isClosed { return (false, queue.last) }
            if queue.questions >= limit { Self.dropAbandoned(&queue) }
            if queue.questions >= limit { return (false, nil) }
            queue.questions += 1
            queue.items.append(Item(body: body, asker: asker))
            count.store(queue.items.count, ordering: .releasing)
            return (true, nil)
        }
        if isTaken { return wakeUp.wake() }
        guard let last else { return asker.decline() }
        var state = last()
        body(&state)
    }

    /// Gives a command; one for a worker that has ended changes nothing.
    ///
    /// - Parameter weight: what it counts for in a kind that is bounded by weight.
    func post(_ kind: WorkerCommand, weight: Int = 1, _ body: @escaping Body) {
        let isTaken = queue.withLock { queue in
            if queue.isClosed { return false }
            let item = Item(body: body, asker: nil, kind: kind, weight: max(1, weight))
            switch kind.bound {
            case .latest:
                if let index = queue.items.lastIndex(where: { $0.kind == kind }) {
                    queue.items[index] = item
                } else {
                    queue.items.append(item)
                }
            case .weight(let limit):
                queue.items.append(item)
                queue.weights[kind, default: 0] += item.weight
                // The new one stays, whatever it weighs.
                while queue.weights[kind, default: 0] > limit,
                    let index = queue.items.dropLast().firstIndex(where: { $0.kind == kind })
                {
                    queue.weights[kind, default: 0] -= queue.items[index].weight
                    queue.items.remove(at: index)
                    queue.dropped &+= 1
                }
            }
            count.store(queue.items.count, ordering: .releasing)
            return true
        }
        if isTaken { wakeUp.wake() }
    }

    /// Commands that made room for later ones of their kind.
    var droppedCommands: UInt64 { queue.withLock { $0.dropped } }

    private static func dropAbandoned(_ queue: inout Queue) {
        let before = queue.items.count
        queue.items.removeAll { $0.asker?.hasGivenUp == true }
        queue.questions -= before - queue.items.count
    }

    // MARK: The worker

    /// Whether nothing waits: one load.
    @inline(__always)
    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    /// Runs what waits.
    ///
    /// Once `budget` seconds are over further questions wait for the next turn, which comes at once; commands do not.
    func run(on state: inout State, budget: Double = .infinity) {
        guard !isEmpty else { return }
        let items = takeAll()
        let end = SystemClock.now() + budget
        var late: [Item] = []
        var done = 0
        for item in items {
            guard let asker = item.asker else {
                item.body(&state)
                continue
            }
            if asker.hasGivenUp {
                done += 1
            } else if done > 0, SystemClock.now() >= end {
                late.append(item)
            } else {
                item.body(&state)
                done += 1
            }
        }
        let isClosed = queue.withLock { queue in
            queue.questions -= done
            if !queue.isClosed { queue.items.insert(contentsOf: late, at: 0) }
            count.store(queue.items.count, ordering: .releasing)
            return queue.isClosed
        }
        if late.isEmpty { return }
        if isClosed { for item in late { item.asker?.decline() } } else { wakeUp.wake() }
    }

    /// The worker ends: runs what waits; what is asked later is answered from the state that `last` makes.
    func close(on state: inout State, leaving last: @escaping @Sendable () -> State) {
        queue.withLock { ($0.isClosed, $0.last) = (true, last) }
        for item in takeAll() where item.asker?.hasGivenUp != true { item.body(&state) }
    }

    /// There is no worker, so no caller waits for it; changes nothing where a worker left a last state.
    func close() {
        let isNew = queue.withLock { queue in
            defer { queue.isClosed = true }
            return !queue.isClosed
        }
        guard isNew else { return }
        for item in takeAll() { item.asker?.decline() }
    }

    private func takeAll() -> [Item] {
        queue.withLock { queue in
            defer { (queue.items, queue.weights) = ([], [:]) }
            count.store(0, ordering: .releasing)
            return queue.items
        }
    }
}

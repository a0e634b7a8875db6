// SPDX-License-Identifier: Apache-2.0

/// One address of a server, and the name that stands for it.
struct Upstream: Sendable, Hashable {
    var address: SocketAddress
    var host: String
    /// Tells it from all others that there are now: what a connection has tried is remembered by this.
    var number: UInt8 = 0
    /// Tells it from all others that there ever were: a number that was given up stands for another server later.
    var serial: UInt32 = 0
    /// Whether the last connection to it failed.
    var isFailed = false
}

/// What names stand for, and what failed last: the state of ``Upstreams``, without threads, sockets and clocks.
struct UpstreamList: Sendable {
    struct Entry: Sendable {
        var address: SocketAddress
        var number: UInt8
        var serial: UInt32
        var isFailed = false
        /// When it is asked next, ns of a steady clock, and how long to wait if it then fails in TLS, ns.
        var asksAt: Int64 = 0, pause: Int64 = 0
    }

    struct State: Sendable {
        var name: HostPort
        var entries: [Entry] = []

        var addresses: [SocketAddress] { entries.map(\.address) }
        var isHealthy: Bool { entries.contains { !$0.isFailed } }
    }

    private(set) var states: [State]
    private var isUsed = [Bool](repeating: false, count: mostAddresses)
    private var lastNumber = mostAddresses - 1
    private var lastSerial: UInt32 = 0

    /// Addresses of all names together; more than that are left out.
    static let mostAddresses = 256
    /// A server that accepts a connection and fails in TLS writes that to its log: it is asked ever more rarely.
    static let shortestPause: Int64 = 1_000_000_000, longestPause: Int64 = 30_000_000_000

    init(_ names: [HostPort]) { states = names.map { State(name: $0) } }

    /// Addresses in the order in which they are tried.
    var order: [Upstream] {
        let all = states.flatMap { state in state.entries.map { Self.upstream($0, of: state) } }
        return all.filter { !$0.isFailed } + all.filter(\.isFailed)
    }

    private static func upstream(_ entry: Entry, of state: State) -> Upstream {
        Upstream(
            address: entry.address,
            host: state.name.host,
            number: entry.number,
            serial: entry.serial,
            isFailed: entry.isFailed
        )
    }

    /// What a name stands for now; whether that is something else than before.
    ///
    /// An address that stays keeps its number and its state.
    mutating func set(_ addresses: [SocketAddress], of index: Int) -> Bool {
        let old = states[index].entries
        guard old.map(\.address) != addresses else { return false }
        for entry in old where !addresses.contains(entry.address) { isUsed[Int(entry.number)] = false }
        states[index].entries = addresses.compactMap { address in
            old.first { $0.address == address } ?? makeEntry(address)
        }
        return true
    }

    private mutating func makeEntry(_ address: SocketAddress) -> Entry? {
        guard let number = takeNumber() else { return nil }
        lastSerial &+= 1
        return Entry(address: address, number: number, serial: lastSerial)
    }

    /// The number that has been free for longest: connections may remember one that was given up just now.
    private mutating func takeNumber() -> UInt8? {
        for step in 1...Self.mostAddresses {
            let number = (lastNumber + step) % Self.mostAddresses
            guard !isUsed[number] else { continue }
            isUsed[number] = true
            lastNumber = number
            return UInt8(truncatingIfNeeded: number)
        }
        return nil
    }

    /// Notes of all entries that match whether they answer; whether the order changes by that.
    mutating func note(isHealthy: Bool, where matches: (Entry) -> Bool) -> Bool {
        var isChanged = false
        for index in states.indices {
            for place in states[index].entries.indices where matches(states[index].entries[place]) {
                isChanged = isChanged || states[index].entries[place].isFailed == isHealthy
                states[index].entries[place].isFailed = !isHealthy
                if isHealthy { (states[index].entries[place].asksAt, states[index].entries[place].pause) = (0, 0) }
            }
        }
        return isChanged
    }

    /// Failed ones that are to be asked at a time.
    func due(at now: Int64) -> [Upstream] {
        states.flatMap { state in
            state.entries.filter { $0.isFailed && $0.asksAt <= now }.map { Self.upstream($0, of: state) }
        }
    }

    /// Takes what a probe found; whether the order changes by that.
    mutating func take(_ answer: UpstreamProbe.Answer, of upstream: Upstream, at now: Int64) -> Bool {
        let isSame = { (entry: Entry) in entry.serial == upstream.serial }
        switch answer {
        case .answers: return note(isHealthy: true, where: isSame)
        case .noConnection: return false
        case .noTLS:
            for index in states.indices {
                for place in states[index].entries.indices where isSame(states[index].entries[place]) {
                    let pause = max(Self.shortestPause, min(Self.longestPause, states[index].entries[place].pause * 2))
                    (states[index].entries[place].asksAt, states[index].entries[place].pause) = (now &+ pause, pause)
                }
            }
            return false
        }
    }
}

extension [Upstream] {
    /// The one of a serial number; `nil`: no name stands for it any more.
    func upstream(_ serial: UInt32) -> Upstream? { first { $0.serial == serial } }
}

/// Which upstreams a connection has tried, by number.
struct TriedUpstreams: BitwiseCopyable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    func contains(_ number: UInt8) -> Bool {
        let bit = UInt64(1) &<< UInt64(number & 63)
        return switch number >> 6 {
        case 0: words.0 & bit != 0
        case 1: words.1 & bit != 0
        case 2: words.2 & bit != 0
        default: words.3 & bit != 0
        }
    }

    mutating func insert(_ number: UInt8) {
        let bit = UInt64(1) &<< UInt64(number & 63)
        switch number >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }
}

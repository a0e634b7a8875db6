// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization

/// The connections of a listener: bounded, but none is refused.
///
/// The newest always has a place, at the expense of the oldest
/// without a complete request; so half-open ones cost each other their places, and nobody else.
final class ConnectionTable: Sendable {
    /// What a connection is about.
    enum Phase: Int, Sendable {
        /// No complete request has come yet: TLS or the header is under way.
        case opening
        /// All that was asked for was answered.
        case idle
        /// The client is being sent an answer, which it may not read.
        case answering
        /// An answer is being made.
        case asked
    }

    private struct Entry {
        var channel: any Channel
        var phase = Phase.opening
        /// In the order of connecting.
        var number: UInt64
        /// It ends once it is idle.
        var isRetired = false
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var last: UInt64 = 0
        var isClosed = false
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = max(1, limit) }

    /// How many there are.
    var count: Int { state.withLock { $0.entries.count } }

    func add(_ channel: any Channel) {
        let victim = state.withLock { state -> (any Channel)? in
            guard !state.isClosed else { return channel }
            state.last += 1
            let victim =
                state.entries.count < limit
                ? nil
                : state.entries.min { left, right in
                    (left.value.phase.rawValue, left.value.number) < (right.value.phase.rawValue, right.value.number)
                }
            if let victim { state.entries[victim.key] = nil }
            state.entries[ObjectIdentifier(channel)] = Entry(channel: channel, number: state.last)
            return victim?.value.channel
        }
        victim?.close(mode: .all, promise: nil)
    }

    func note(_ phase: Phase, of channel: any Channel) {
        let isOver = state.withLock { state in
            state.entries[ObjectIdentifier(channel)]?.phase = phase
            return phase == .idle && state.entries[ObjectIdentifier(channel)]?.isRetired == true
        }
        if isOver { channel.close(mode: .all, promise: nil) }
    }

    /// Cuts all connections, and those that come from now on.
    func close() {
        let channels = state.withLock { state in
            state.isClosed = true
            return state.entries.values.map(\.channel)
        }
        for channel in channels { channel.close(mode: .all, promise: nil) }
    }

    /// Ends the connections that there are: at once, or once what they asked for is answered.
    func retire() {
        let silent = state.withLock { state in
            for key in state.entries.keys { state.entries[key]?.isRetired = true }
            return state.entries.values.filter { $0.phase == .opening || $0.phase == .idle }.map(\.channel)
        }
        for channel in silent { channel.close(mode: .all, promise: nil) }
    }

    func remove(_ channel: any Channel) {
        state.withLock { _ = $0.entries.removeValue(forKey: ObjectIdentifier(channel)) }
    }
}

/// Follows one connection for the table, and ends it when its client does not read: a minute is enough for any answer.
///
/// It stands behind the codec, and looks at no part: what comes in is a request, what goes out is an answer.
final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny
    typealias InboundOut = NIOAny
    typealias OutboundIn = NIOAny
    typealias OutboundOut = NIOAny

    private let table: ConnectionTable
    /// Parts of answers that are not out yet.
    private var unsent = 0
    private var deadline: Scheduled<Void>?
    private static let patience = TimeAmount.seconds(60)

    init(_ table: ConnectionTable) { self.table = table }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { table.add(context.channel) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { finish(context) }

    func channelActive(context: ChannelHandlerContext) {
        table.add(context.channel)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(context)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        table.note(.asked, of: context.channel)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let channel = context.channel
        if unsent == 0 {
            table.note(.answering, of: channel)
            deadline = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(mode: .all, promise: nil) }
        }
        unsent += 1
        let sent = promise ?? context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { [self] _ in
            unsent -= 1
            guard unsent == 0 else { return }
            table.note(.idle, of: channel)
            deadline?.cancel()
            deadline = nil
        }
        context.write(data, promise: sent)
    }

    private func finish(_ context: ChannelHandlerContext) {
        table.remove(context.channel)
        deadline?.cancel()
        deadline = nil
    }
}

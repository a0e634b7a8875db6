// SPDX-License-Identifier: Apache-2.0
import Glibc
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Platform
import Synchronization

/// Serves pages: HTTP/1.1 by Hummingbird, for GET and HEAD only.
///
/// Answers are made on a thread of its own, one after the other; clients that are slow, or send nonsense, cost the rest of
/// the program nothing. Every connection is accepted: where there are too many, the oldest that has no complete request
/// makes room (``ConnectionTable``), so that a probe is answered whoever else is connected.
public final class WebServer: Sendable {
    /// Makes an answer; may wait.
    public typealias Answer = @Sendable (WebRequest) -> WebResponse
    /// Makes an answer that waits for nothing and is for everybody, such as a probe's; `nil`: it is no such request.
    public typealias QuickAnswer = @Sendable (WebRequest) -> WebResponse?

    private let options: WebOptions
    private let quick: QuickAnswer
    private let answer: Answer
    private let table: ConnectionTable
    private let acceptance = Acceptance()
    private let state = Mutex(State())
    /// Wakes who waits for the port or a failure.
    private let stateChange = WakeUp()

    private struct State {
        var running: Running?
        var hasLoop = false
        var listener: (any Channel)?
        var port: Int?
        var failure: String?
    }

    /// What a server that runs is made of, and has to be ended.
    private struct Running {
        var access: ClientAccess
        var desk: FrontDesk
        var group: MultiThreadedEventLoopGroup
        var task: Task<Void, Never>
    }

    /// A server that does not serve yet.
    public init(_ options: WebOptions, quick: @escaping QuickAnswer, answer: @escaping Answer) {
        (self.options, self.quick, self.answer) = (options, quick, answer)
        table = ConnectionTable(limit: options.connections)
    }

    /// The port that is served.
    public var port: Int? { state.withLock { $0.port } }

    /// Whether a thread of it runs still.
    var hasLoop: Bool { state.withLock { $0.hasLoop } }

    /// Serves until ``finish()``, and returns once clients can connect.
    ///
    /// Where that fails, nothing is left running.
    public func start() throws(WebError) {
        let access = ClientAccess(try ClientAccess.Rules(options))
        let desk = FrontDesk(access, isLoopback: options.isLoopback, quick: quick, answer: answer)
        guard desk.start() else { throw .cannotListen(address: address, reason: "no thread is to be had") }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let application = application(desk, access, group)
        let task = Task(executorPreference: LoopExecutor(group.any())) { [self] in
            do {
                try await application.run()
            } catch {
                state.withLock { $0.failure = "\(error)" }
                stateChange.wake()
            }
        }
        state.withLock { state in
            state.running = Running(access: access, desk: desk, group: group, task: task)
            state.hasLoop = true
        }
        do throws(WebError) {
            try waitUntilRunning()
        } catch {
            finish()
            throw error
        }
    }

    private func waitUntilRunning() throws(WebError) {
        let end = SystemClock.now() + 5
        while true {
            let (port, failure) = state.withLock { ($0.port, $0.failure) }
            if port != nil { return }
            if let failure { throw .cannotListen(address: address, reason: failure) }
            let left = end - SystemClock.now()
            guard left > 0 else { throw .cannotListen(address: address, reason: "it takes too long") }
            stateChange.wait(left)
        }
    }

    /// Takes another certificate, other authorities and other passwords from `options`, whose address is ignored.
    ///
    /// The server goes on listening. Connections that began under the old rules end: idle ones at once, others once they are
    /// answered.
    ///
    /// - Throws: ``WebError/badCertificate(file:reason:)``; what was in force goes on.
    public func reload(_ options: WebOptions) throws(WebError) {
        guard let running = state.withLock({ $0.running }) else { return }
        running.access.replace(try ClientAccess.Rules(options))
        let table = table
        // On the loop that makes connections ready: each of them is made by the new rules, or stands in the table by now.
        running.group.any().execute { table.retire() }
    }

    /// Ends; connections are cut.
    public func finish() {
        let (running, listener) = state.withLock { state in (state.running.take(), state.listener.take()) }
        guard let running else { return }
        let table = table
        if let listener {
            // Not by cancelling the task, which would leave connections to nobody.
            running.group.any().execute { [acceptance] in
                acceptance.end(listener)
                table.close()
            }
        } else {
            running.task.cancel()
        }
        running.desk.finish()
        Task {
            // Its loop is needed until the last connection is gone.
            await running.task.value
            try? await running.group.shutdownGracefully()
            state.withLock { $0.hasLoop = false }
        }
    }

    private var address: String { "\(options.host):\(options.port)" }

    private func application(
        _ desk: FrontDesk,
        _ access: ClientAccess,
        _ group: MultiThreadedEventLoopGroup
    ) -> some ApplicationProtocol {
        let decoder = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: 8 << 10,
            maxHeaderListSize: 16 << 10,
            maxHeaderFieldCount: 100
        )
        let table = table
        let configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionHandler(table)],
            idleTimeout: .seconds(options.idleSeconds),
            httpDecoderConfiguration: decoder
        )
        var logger = Logger(label: "pgweir.web", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .critical
        return Application(
            responder: desk,
            server: HTTPServerBuilder { [acceptance] responder in
                ListenerChannel(
                    base: HTTP1Channel(responder: responder, configuration: configuration),
                    access: access,
                    acceptance: acceptance
                )
            },
            configuration: ApplicationConfiguration(
                address: .hostname(options.host, port: options.port),
                backlog: 1024
            ),
            onServerRunning: { [self] channel in
                state.withLock { ($0.listener, $0.port) = (channel, channel.localAddress?.port ?? 0) }
                stateChange.wake()
            },
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
    }
}

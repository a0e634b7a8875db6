// SPDX-License-Identifier: Apache-2.0
import Glibc
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import NIOPosix
import NIOSSL
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
    private let desk: FrontDesk
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let state = Mutex(State())

    private struct State {
        var task: Task<Void, Never>?
        var port: Int?
        var failure: String?
    }

    /// A server that does not serve yet.
    public init(_ options: WebOptions, quick: @escaping QuickAnswer, answer: @escaping Answer) {
        self.options = options
        desk = FrontDesk(options, quick: quick, answer: answer)
    }

    /// The port that is served.
    public var port: Int? { state.withLock { $0.port } }

    /// Serves until ``finish()``; returns once clients can connect.
    public func start() throws(WebError) {
        let server = try builder()
        guard desk.start() else { throw .cannotListen(address: address, reason: "no thread is to be had") }
        var logger = Logger(label: "pgweir.web", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .critical
        let application = Application(
            responder: desk,
            server: server,
            configuration: ApplicationConfiguration(
                address: .hostname(options.host, port: options.port),
                backlog: 1024
            ),
            onServerRunning: { [self] channel in state.withLock { $0.port = channel.localAddress?.port ?? 0 } },
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
        let task = Task(executorPreference: LoopExecutor(group.any())) { [self] in
            do {
                try await application.run()
            } catch {
                state.withLock { $0.failure = "\(error)" }
            }
        }
        state.withLock { $0.task = task }
        for _ in 0..<5000 {
            let (port, failure) = state.withLock { ($0.port, $0.failure) }
            if port != nil { return }
            if let failure { throw .cannotListen(address: address, reason: failure) }
            usleep(1000)
        }
        throw .cannotListen(address: address, reason: "it takes too long")
    }

    /// Ends; connections are cut.
    public func finish() {
        let (task, group) = (state.withLock { $0.task }, group)
        task?.cancel()
        desk.finish()
        Task {
            // Its loop is needed until the last connection is gone.
            await task?.value
            try? await group.shutdownGracefully()
        }
    }

    private var address: String { "\(options.host):\(options.port)" }

    private func builder() throws(WebError) -> HTTPServerBuilder {
        let decoder = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: 8 << 10,
            maxHeaderListSize: 16 << 10,
            maxHeaderFieldCount: 100
        )
        let table = ConnectionTable(limit: options.connections)
        let base = HTTPServerBuilder.http1(
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [ConnectionHandler(table)],
                idleTimeout: .seconds(10),
                httpDecoderConfiguration: decoder
            )
        )
        guard let tls = options.tls else { return base }
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(tls.certificate).map {
                NIOSSLCertificateSource.certificate($0)
            }
            let key = try NIOSSLPrivateKey(file: tls.key, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain,
                privateKey: .privateKey(key)
            )
            configuration.minimumTLSVersion = .tlsv12
            if let authorities = tls.clientAuthorities {
                configuration.trustRoots = .file(authorities)
                configuration.certificateVerification = .noHostnameVerification
            }
            return try .tls(base, tlsConfiguration: configuration)
        } catch {
            throw .badCertificate(file: tls.certificate, reason: "\(error)")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How a relay is to work.
public struct RelayOptions: Sendable {
    /// Where clients come in; empty: on sockets that were handed over.
    public var listen: [HostPort] = []
    /// Servers, in the order of preference.
    public var upstreams: [HostPort] = []
    /// The Unix socket for status, daemon and takeover.
    public var control = "/run/pgweir/relay.sock"
    /// Event loops, each a thread, from 1 to 64.
    public var workers = 1
    /// Bytes of each worker's ring: a power of two from 256 KiB to 1 GiB.
    public var ringBytes = 16 << 20
    /// Connections at once; more are refused, and the limit of open files may allow less.
    public var maxConnections = 50_000
    /// How long an upstream may take to accept a connection, s.
    public var connectTimeout = 5.0
    /// Connections accepted in a second; 0: as many as come.
    public var acceptRate = 0.0
    /// Whether upstreams are told the client's address (PROXY protocol, version 2).
    public var sendsProxyHeader = false
    /// Whether connections that netfilter's REDIRECT brought here go on to where they were going.
    public var followsOriginalDestination = false
    /// SO_MARK of connections to upstreams, so that rules can tell them from clients'; 0: none.
    public var mark: UInt32 = 0
    /// Where HTTP answers whether the relay is alive and ready.
    public var health: HostPort?
    /// How long connections are still accepted once the relay says that it is not ready, s.
    public var drainDelay = 0.0
    /// How long open sessions may go on after the listeners are closed, s.
    public var drainTimeout = 30.0
    /// Whether the listeners are those of the relay at ``control``.
    public var takesOver = false
    /// TLS on either side.
    public var tls = TLSOptions()

    /// The defaults.
    public init() {}
}

/// TLS in the relay; nothing of it by default: bytes pass as they are.
public struct TLSOptions: Sendable {
    /// PEM files with the certificate (chain) and the key that clients are shown.
    public var certificate: String?, key: String?
    /// Whether clients must use TLS.
    public var isRequired = false
    /// Whether the upstream is spoken to in TLS.
    public var upstream = false
    /// A PEM file of authorities; with it, the upstream's certificate and name are verified.
    public var upstreamAuthority: String?

    /// No TLS.
    public init() {}
}

/// Why a relay cannot work.
public enum RelayError: Error, Equatable, CustomStringConvertible {
    /// A call of the system failed.
    case system(what: String, code: Int32)
    /// Nothing to listen on.
    case noListener
    /// The relay at the control socket does not hand its listeners over.
    case noTakeover(path: String, reason: String)
    /// The control socket is another relay's.
    case isRunning(path: String)
    /// A certificate, key or authority that cannot be used.
    case badTLS(file: String, reason: String)
    /// A server is the relay itself: each connection would make another one.
    case loop(upstream: HostPort, address: String)

    /// What happened, and what to do.
    public var description: String {
        switch self {
        case .system(let what, EADDRINUSE):
            "\(what): something listens there already; stop it, choose another port, or take a relay over with --takeover."
        case .system(let what, ENOENT) where what.hasPrefix("--control"):
            "\(what): its folder is not there; make it, or choose another --control."
        case .system(let what, let code): "\(what): \(Socket.message(code))"
        case .noListener:
            "nothing to listen on: give --listen HOST:PORT, or have systemd hand a socket over (LISTEN_FDS)."
        case .noTakeover(let path, let reason): "no takeover from the relay at \(path): \(reason)"
        case .isRunning(let path):
            "another relay serves \(path): replace it with --takeover, or choose another --control."
        case .badTLS(let file, let reason): "TLS: \(file): \(reason)"
        case .loop(let upstream, let address):
            "--upstream \(upstream) is \(address), where the relay itself listens: name the server, or change --listen."
        }
    }
}

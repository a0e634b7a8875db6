// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

/// Where live traffic is watched.
enum RunMode: String, ExpressibleByArgument, CaseIterable {
    /// On interfaces: nothing stands between client and server.
    case mirror
    /// In a relay that clients connect to, where no mirror can be had.
    case proxy
}

/// The relay that 'pgweir run --mode proxy' attaches to, and how it is started if there is none.
struct ProxyArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "proxy: the relay's control socket (default: relay.sock beside --socket).",
            valueName: "path"
        )
    )
    var relay: String?
    @Option(help: ArgumentHelp("proxy: start a relay that listens here; may be repeated.", valueName: "host:port"))
    var listen: [String] = []
    @Option(help: ArgumentHelp("proxy: … and connects to this server; may be repeated.", valueName: "host:port"))
    var upstream: [String] = []
    @Option(help: ArgumentHelp("proxy: connections at once.", valueName: "count")) var maxConnections: Int?
    @Option(help: ArgumentHelp("proxy: the ring of each event loop.", valueName: "MiB")) var ring: Int?
    @Option(help: ArgumentHelp("proxy: where HTTP answers /-/healthy and /-/ready.", valueName: "host:port"))
    var health: String?
    @Option(help: ArgumentHelp("proxy: how long sessions may go on at the end.", valueName: "seconds"))
    var drainTimeout: Double?
    @Option(help: ArgumentHelp("proxy: end clients' TLS with this certificate (PEM).", valueName: "file"))
    var tlsCert: String?
    @Option(help: ArgumentHelp("proxy: its key (PEM).", valueName: "file")) var tlsKey: String?
    @Option(help: ArgumentHelp("proxy: verify the server's certificate by these (PEM).", valueName: "file"))
    var upstreamCa: String?
    @Flag(help: "proxy: refuse clients without TLS.") var tlsRequired = false
    @Flag(help: "proxy: speak TLS to the server.") var upstreamTls = false
    @Flag(help: "proxy: tell the server the client's address (PROXY protocol, version 2).") var proxyProtocol = false
    @Flag(help: "proxy: send connections that REDIRECT brought on to where they were going.") var originalDestination =
        false

    /// Whether a relay is started where none is there.
    var starts: Bool { !listen.isEmpty || !upstream.isEmpty }

    /// Whether anything of it was asked for.
    var isUsed: Bool { relay != nil || words != [] }

    /// What a relay is started with, but its control socket.
    var words: [String] {
        let values: [(String, String?)] = [
            ("--max-connections", maxConnections.map(String.init)), ("--ring", ring.map(String.init)),
            ("--health", health), ("--drain-timeout", drainTimeout.map { String($0) }), ("--tls-cert", tlsCert),
            ("--tls-key", tlsKey), ("--upstream-ca", upstreamCa),
        ]
        let flags = [
            ("--tls-required", tlsRequired), ("--upstream-tls", upstreamTls), ("--proxy-protocol", proxyProtocol),
            ("--original-destination", originalDestination),
        ]
        var words: [String] = []
        for name in listen { words += ["--listen", name] }
        for name in upstream { words += ["--upstream", name] }
        for (name, value) in values { if let value { words += [name, value] } }
        for (name, isSet) in flags where isSet { words.append(name) }
        return words
    }

    /// `socket`: the daemon's own, beside which the relay's is.
    func configuration(beside socket: SocketPlace) -> ProxyConfiguration {
        ProxyConfiguration(path: relay ?? socket.sibling("relay.sock"), starts: starts, arguments: words)
    }
}

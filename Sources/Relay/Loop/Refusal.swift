// SPDX-License-Identifier: Apache-2.0

/// Why a client is sent away, in PostgreSQL's words.
enum Refusal: UInt8, BitwiseCopyable {
    /// As many connections as are allowed are open.
    case tooMany
    /// No upstream accepts a connection.
    case unreachable
    /// TLS with the upstream did not come about.
    case upstreamTLS
    /// Only TLS is allowed here.
    case tlsRequired
    /// The connection is one that the relay made itself.
    case loop
    /// The client insists on knowing whether its channel is bound, and it is not.
    case channelBinding

    /// The SQLSTATE (PostgreSQL documentation, appendix "Error Codes").
    var code: String {
        switch self {
        case .tooMany: "53300"
        // What drivers take for a reason to try again, or to try the next host.
        case .unreachable, .upstreamTLS, .loop: "57P03"
        case .tlsRequired, .channelBinding: "28000"
        }
    }

    private var text: String {
        switch self {
        case .tooMany: "sorry, the pgweir relay has too many connections already"
        case .unreachable: "the pgweir relay cannot reach the database server"
        case .upstreamTLS: "the pgweir relay cannot agree on TLS with the database server"
        case .tlsRequired: "the pgweir relay accepts connections with TLS only"
        case .loop: "the pgweir relay's server is the relay itself"
        case .channelBinding: "channel binding cannot work through the pgweir relay, which ends TLS on both sides"
        }
    }

    private var hint: String {
        switch self {
        case .tooMany: "Raise the relay's --max-connections, or its limit of open files."
        case .unreachable: "Check the server, and the relay's --upstream."
        case .upstreamTLS: "Check that the server has ssl=on, and its certificate against the relay's --upstream-ca."
        case .tlsRequired: "Connect with sslmode=require."
        case .loop: "Check the relay's --upstream, and rules that redirect connections to the relay."
        case .channelBinding:
            "Connect with channel_binding=disable, or have --tls-cert and --tls-key name the server's own certificate."
        }
    }

    /// An ErrorResponse (PostgreSQL documentation, "Message Formats").
    var message: [UInt8] {
        let fields = [("S", "FATAL"), ("V", "FATAL"), ("C", code), ("M", text), ("H", hint)]
        let body: [UInt8] = fields.flatMap { Array(($0.0 + $0.1).utf8) + [0 as UInt8] } + [0]
        let length = UInt32(body.count + 4)
        return [0x45] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32($0))) } + body
    }
}

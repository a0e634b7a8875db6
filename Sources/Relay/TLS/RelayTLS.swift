// SPDX-License-Identifier: Apache-2.0

/// TLS as a relay speaks it: to clients, to upstreams, or, as a rule, not at all.
struct RelayTLS: Sendable {
    let client: TLSContext?
    let upstream: TLSContext?

    /// Whether clients' requests for encryption are ours to answer: a server that is spoken to in TLS must not see them.
    var isUsed: Bool { client != nil || upstream != nil }

    init(_ options: TLSOptions) throws(RelayError) {
        if let certificate = options.certificate {
            client = try TLSContext.server(certificate: certificate, key: options.key ?? certificate)
        } else {
            client = nil
        }
        upstream = options.upstream ? try TLSContext.client(authority: options.upstreamAuthority) : nil
    }
}

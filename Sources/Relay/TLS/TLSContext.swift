// SPDX-License-Identifier: Apache-2.0
import CLinux
import COpenSSL
import Glibc

/// How TLS is spoken on one side of the relay, and its sessions: OpenSSL's calls, and nothing else.
@safe final class TLSContext: @unchecked Sendable {
    private let context: OpaquePointer
    /// Whether the peer's certificate and name are verified.
    private let verifies: Bool

    /// The protocol that PostgreSQL has registered for TLS without a request before it (ALPN, RFC 7301).
    static let applicationProtocol = Array("\u{0A}postgresql".utf8)

    private init(_ context: OpaquePointer, verifies: Bool) {
        unsafe self.context = unsafe context
        self.verifies = verifies
    }

    deinit { unsafe SSL_CTX_free(context) }

    /// For clients: shows them a certificate.
    static func server(certificate: String, key: String) throws(RelayError) -> TLSContext {
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw failure(certificate) }
        let result = unsafe TLSContext(context, verifies: false)
        unsafe openssl_set_modes(context)
        guard unsafe SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else { throw failure(certificate) }
        guard unsafe SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 else { throw failure(key) }
        guard unsafe SSL_CTX_check_private_key(context) == 1 else { throw failure(key) }
        unsafe SSL_CTX_set_alpn_select_cb(context, chooseProtocol, nil)
        return result
    }

    /// For upstreams: verifies them by the authorities in a file, if one is given.
    static func client(authority: String?) throws(RelayError) -> TLSContext {
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw failure(authority ?? "OpenSSL") }
        let result = unsafe TLSContext(context, verifies: authority != nil)
        unsafe openssl_set_modes(context)
        if let authority {
            guard unsafe SSL_CTX_load_verify_locations(context, authority, nil) == 1 else { throw failure(authority) }
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        }
        return result
    }

    /// A session on a connected socket; `host`: the server's name, where this side is the client.
    func session(on descriptor: Int32, host: String?) -> TLSSession? {
        guard let session = unsafe SSL_new(context) else { return nil }
        let result = unsafe TLSSession(session)
        guard unsafe SSL_set_fd(session, descriptor) == 1 else {
            result.free()
            return nil
        }
        if let host {
            var octets = in6_addr()
            let isAddress = unsafe inet_pton(AF_INET, host, &octets) == 1 || inet_pton(AF_INET6, host, &octets) == 1
            // Addresses are no server names (RFC 6066 §3).
            if !isAddress { unsafe openssl_set_name(session, host) }
            if verifies {
                _ =
                    isAddress
                    ? unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host)
                    : unsafe SSL_set1_host(session, host)
            }
            unsafe SSL_set_connect_state(session)
        } else {
            unsafe SSL_set_accept_state(session)
        }
        return result
    }

    /// Whether a certificate is the one that clients are shown.
    func shows(_ certificate: OpaquePointer) -> Bool {
        guard let own = unsafe SSL_CTX_get0_certificate(context) else { return false }
        return unsafe X509_cmp(own, certificate) == 0
    }

    private static func failure(_ file: String) -> RelayError {
        .badTLS(file: file, reason: TLSSession.lastError())
    }
}

/// Takes PostgreSQL's protocol where the client offers it.
private let chooseProtocol: SSL_CTX_alpn_select_cb_func = { _, chosen, length, offered, count, _ in
    guard let chosen = unsafe chosen, let length = unsafe length, let offered = unsafe offered else {
        return SSL_TLSEXT_ERR_NOACK
    }
    let names = unsafe UnsafeBufferPointer(start: offered, count: Int(count))
    var start = 0
    while start < names.count {
        // In range: the name's length is compared with what is left.
        let size = unsafe Int(names[start])
        guard start + 1 + size <= names.count else { break }
        if unsafe names[start...(start + size)].elementsEqual(TLSContext.applicationProtocol) {
            unsafe chosen.pointee = unsafe offered + start + 1
            unsafe length.pointee = UInt8(size)
            return SSL_TLSEXT_ERR_OK
        }
        start += 1 + size
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}

/// One TLS session: valid until ``free()``, which its connection calls once.
@safe struct TLSSession: BitwiseCopyable {
    private let session: OpaquePointer

    init(_ session: OpaquePointer) { unsafe self.session = unsafe session }

    func free() { unsafe SSL_free(session) }

    /// Goes on with the handshake: 1 when it is done, or a ``Socket/Outcome``.
    func shakeHands() -> Int {
        ERR_clear_error()
        let code = unsafe SSL_do_handshake(session)
        return code == 1 ? 1 : outcome(code)
    }

    func receive(_ place: UnsafeMutableRawPointer, _ count: Int) -> Int {
        ERR_clear_error()
        let code = unsafe SSL_read(session, place, Int32(count))
        return code > 0 ? Int(code) : outcome(code)
    }

    /// Sends what can be sent; how much, or a ``Socket/Outcome``.
    func send(_ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        var sent = 0
        while sent < count {
            ERR_clear_error()
            let code = unsafe SSL_write(session, bytes + sent, Int32(count - sent))
            guard code > 0 else {
                let outcome = outcome(code)
                return sent > 0 && outcome == Socket.Outcome.again ? sent : outcome
            }
            sent += Int(code)
        }
        return sent
    }

    /// Bytes that are there, without taking them; `nil`: no more come.
    func peek(_ count: Int) -> [UInt8]? {
        ERR_clear_error()
        var bytes = [UInt8](repeating: 0, count: count)
        let code = unsafe SSL_peek(session, &bytes, Int32(truncatingIfNeeded: count))
        guard code <= 0 else { return Array(bytes.prefix(Int(code))) }
        return outcome(code) == Socket.Outcome.again ? [] : nil
    }

    /// Whether the peer showed the certificate that `context` shows to others.
    func peerHasCertificate(of context: TLSContext) -> Bool {
        guard let certificate = unsafe SSL_get1_peer_certificate(session) else { return false }
        defer { unsafe X509_free(certificate) }
        return unsafe context.shows(certificate)
    }

    /// Tells the peer that nothing more comes (close_notify).
    func end() {
        ERR_clear_error()
        _ = unsafe SSL_shutdown(session)
    }

    /// Whether the client asked for PostgreSQL's protocol.
    var hasProtocol: Bool {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        unsafe SSL_get0_alpn_selected(session, &name, &length)
        return length > 0
    }

    private func outcome(_ code: Int32) -> Int {
        switch unsafe SSL_get_error(session, code) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: Socket.Outcome.again
        case SSL_ERROR_ZERO_RETURN: Socket.Outcome.end
        default: Socket.Outcome.failed
        }
    }

    /// Why the last call failed, in OpenSSL's words.
    static func lastError() -> String {
        let code = ERR_get_error()
        guard code != 0, let text = unsafe ERR_reason_error_string(code) else { return "not to be used" }
        return unsafe String(cString: text)
    }
}

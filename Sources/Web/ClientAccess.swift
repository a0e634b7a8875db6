// SPDX-License-Identifier: Apache-2.0
import NIOSSL
import Synchronization

/// The certificate that clients are shown, and the passwords that they are asked for.
///
/// Both are replaced as a whole while the server runs: files are read and checked before anything changes, so that what cannot be
/// used leaves the old ones in force.
final class ClientAccess: Sendable {
    struct Rules: Sendable {
        /// `nil`: no TLS.
        var tls: NIOSSLContext?
        var passwords: PasswordCheck

        /// Reads what options name.
        init(_ options: WebOptions) throws(WebError) {
            tls = if let files = options.tls { try Self.context(files) } else { nil }
            passwords = PasswordCheck(options.users)
        }

        private static func context(_ files: WebOptions.TLSFiles) throws(WebError) -> NIOSSLContext {
            let chain = try certificates(files.certificate)
            let key = try read(files.key) { try NIOSSLPrivateKey(file: files.key, format: .pem) }
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(key)
            )
            configuration.minimumTLSVersion = .tlsv12
            if let authorities = files.clientAuthorities {
                configuration.trustRoots = .certificates(try certificates(authorities))
                configuration.certificateVerification = .noHostnameVerification
            }
            // Compares the key with the certificate, too.
            return try read(files.certificate) { try NIOSSLContext(configuration: configuration) }
        }

        private static func certificates(_ file: String) throws(WebError) -> [NIOSSLCertificate] {
            let found = try read(file) { try NIOSSLCertificate.fromPEMFile(file) }
            guard !found.isEmpty else { throw .badCertificate(file: file, reason: "it holds no certificate") }
            return found
        }

        private static func read<Value>(_ file: String, _ body: () throws -> Value) throws(WebError) -> Value {
            do { return try body() } catch { throw .badCertificate(file: file, reason: "\(error)") }
        }
    }

    private let rules: Mutex<Rules>

    init(_ rules: Rules) { self.rules = Mutex(rules) }

    /// What holds now.
    var current: Rules { rules.withLock { $0 } }

    func replace(_ next: Rules) { rules.withLock { $0 = next } }
}

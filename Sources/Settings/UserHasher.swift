// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Domain
public import Quotas

/// Makes users' keys: what stands for a name in stores, logs and metrics.
///
/// HMAC-SHA-256 (RFC 2104) of the cluster and the name, cut to 128 bits: without the secret nobody can tell whose it is,
/// or try names out.
public struct UserHasher: Sendable {
    private let secret: [UInt8]
    private let cluster: [UInt8]

    /// A hasher; all nodes that share a store need the same secret, of 16 bytes at least.
    public init(secret: [UInt8], cluster: String) {
        self.secret = secret
        self.cluster = Array(cluster.utf8) + [0]
    }

    /// The key of a user.
    public func key(of user: String) -> UserKey {
        let message = cluster + Array(user.utf8)
        var code = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        // Fails only where memory is out; the code is then all zero for everybody, which no store has.
        _ = unsafe HMAC(EVP_sha256(), secret, Int32(clamping: secret.count), message, message.count, &code, &length)
        var halves: (UInt64, UInt64) = (0, 0)
        for (index, byte) in code.prefix(16).enumerated() {
            if index < 8 { halves.0 = halves.0 << 8 | UInt64(byte) } else { halves.1 = halves.1 << 8 | UInt64(byte) }
        }
        return UserKey(Fingerprint(high: halves.0, low: halves.1))
    }

    /// A new secret.
    public static func newSecret() -> [UInt8] {
        // The system's generator is fit for secrets.
        (0..<32).map { _ in UInt8.random(in: .min ... .max) }
    }
}

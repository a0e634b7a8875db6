// SPDX-License-Identifier: Apache-2.0

/// TLS and passwords of the pages, in the layout of the Prometheus exporters' web configuration (exporter-toolkit,
/// "Web configuration"): the same file serves them all.
public struct WebConfiguration: Sendable, Hashable {
    /// The certificate and its key (PEM).
    public var certificate: String?, key: String?
    /// Clients must show a certificate signed by one of these (PEM).
    public var clientAuthorities: String?
    /// Users and their passwords as bcrypt makes them.
    public var users: [String: String] = [:]

    /// Reads a file.
    public init(yaml: String, file: String) throws(SettingsError) {
        guard let root = try StrictNode.read(yaml, file: file) else { return }
        let fields = try root.fields(
            "the web configuration",
            ["tls_server_config", "basic_auth_users", "http_server_config"]
        )
        if let tls = fields["tls_server_config"] { try read(tls: tls) }
        for entry in try fields["basic_auth_users"]?.entries("'basic_auth_users'") ?? [] {
            let hash = try entry.value.text("the password of '\(entry.key)'")
            guard ["$2a$", "$2b$", "$2y$"].contains(where: { hash.hasPrefix($0) }), hash.utf8.count == 60 else {
                throw entry.value.error(
                    "the password of '\(entry.key)' must be a bcrypt hash, as 'htpasswd -nB' makes it."
                )
            }
            users[entry.key] = hash
        }
    }

    private mutating func read(tls node: StrictNode) throws(SettingsError) {
        let tls = try node.fields(
            "'tls_server_config'",
            ["cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version"]
        )
        guard let certificate = tls["cert_file"], let key = tls["key_file"] else {
            throw node.error("'tls_server_config' needs 'cert_file' and 'key_file'.")
        }
        (self.certificate, self.key) = (try certificate.text("'cert_file'"), try key.text("'key_file'"))
        let types = ["NoClientCert", "RequireAndVerifyClientCert"]
        let type = try tls["client_auth_type"]?.word("'client_auth_type'", of: types) ?? types[0]
        if let authorities = tls["client_ca_file"] {
            guard type == types[1] else {
                throw authorities.error("'client_ca_file' needs 'client_auth_type: RequireAndVerifyClientCert'.")
            }
            clientAuthorities = try authorities.text("'client_ca_file'")
        } else if type == types[1] {
            throw node.error("'client_auth_type: RequireAndVerifyClientCert' needs 'client_ca_file'.")
        }
        if let version = tls["min_version"] { _ = try version.word("'min_version'", of: ["TLS12", "TLS13"]) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Quotas
import Settings
import Testing

struct LayerTests {
    private func read(_ yaml: String, _ environment: [String: String] = [:]) throws -> Settings {
        try Settings(yaml: yaml, file: "c.yaml", environment: environment)
    }

    @Test func `every option has a key, and each kind of value becomes the words of the command line`() throws {
        let settings = try read(
            """
            mode: proxy
            capture: {interfaces: [eth0, "nflog:5"], ports: [5432, 6432], buffer: 128, allow_second: true}
            proxy: {listen: "127.0.0.1:6543", tls_required: false, drain_timeout: 2m}
            quota: {enabled: false, lease: 90s}
            """
        )
        #expect(settings.options["mode"]?.words == ["--mode", "proxy"])
        #expect(settings.options["capture.interfaces"]?.words == ["--interface", "eth0", "--interface", "nflog:5"])
        #expect(settings.options["capture.ports"]?.words == ["--port", "5432", "--port", "6432"])
        #expect(settings.options["capture.buffer"]?.words == ["--buffer", "128"])
        #expect(settings.options["capture.allow_second"]?.words == ["--allow-second"])
        #expect(settings.options["proxy.listen"]?.words == ["--listen", "127.0.0.1:6543"])
        #expect(settings.options["proxy.tls_required"]?.words == [])
        #expect(settings.options["proxy.drain_timeout"]?.words == ["--drain-timeout", "120"])
        #expect(settings.options["quota.enabled"]?.words == ["--no-quotas"])
        #expect(settings.options["quota.lease"]?.words == ["--lease", "90"])
        #expect(settings.options["capture.buffer"]?.origin == "c.yaml:2")
        #expect(Set(OptionKey.all.map(\.path)).count == OptionKey.all.count)
    }

    @Test(arguments: [
        (
            "attribution: {pooler_addresses: [nowhere]}",
            "c.yaml:1:34: 'attribution.pooler_addresses' must be an address"
        ),
        ("capture: {bufer: 1}", "c.yaml:1:11: unknown key 'bufer'"), ("capture: {buffer: 0}", "from 1 to 2047"),
        ("capture: {allow_second: yes}", "must be true or false"), ("capture: {tunnels: [vlan]}", "Found 'vlan'"),
        ("history: {retention: 10m}", "must be a time from 3600 s"), ("web: {listen: {a: b}}", "must be text"),
        ("capture: {buffer: '${X}'}", "the environment has no X"), ("capture: {user: ${X}}", "not valid YAML"),
        ("capture: {user: '${X'}", "'${' has no '}'"), ("capture: {user: '${a-b}'}", "names no variable"),
        ("state: {redis: 'redis://:s3cret@h/0'}", "a password does not stand in the configuration"),
        ("pricing: {explain: 'host=a password=s3cret'}", "a password does not stand in the configuration"),
        ("attribution: {servers: ['postgresql://u:s3cret@h/d']}", "a password does not stand"),
    ])
    func `what is wrong is told with its place`(yaml: String, message: String) {
        #expect {
            try read(yaml)
        } throws: { error in
            "\(error)".contains(message) && !"\(error)".contains("s3cret")
        }
    }

    @Test func `variables stand in values, with what holds without them`() throws {
        let settings = try read(
            "state: {redis: 'redis://:${PW}@h/0', cluster: '${C:-main}-$${x}'}",
            ["PW": "p@:w", "C": ""]
        )
        #expect(settings.options["state.redis"]?.words.last == "redis://:p@:w@h/0")
        #expect(settings.options["state.cluster"]?.words.last == "main-${x}")
        let printed = EffectiveConfiguration.yaml(settings)
        #expect(printed.contains("********") && !printed.contains("p@:w"))
    }

    @Test func `what stands in a file stands in a value, and a file that is not there is named`() throws {
        let yaml = "state: {redis: 'redis://:${file:secret/redis}@h/0', cluster: '${file:secret/cluster}'}"
        let files = ["secret/redis": "p@ss\n", "secret/cluster": "main\r\n"]
        func read(_ files: [String: String]) throws -> Settings {
            try Settings(yaml: yaml, file: "test.yaml") { path throws(SettingsError) in
                guard let text = files[path] else { throw SettingsError(file: path, message: "No such file") }
                return text
            }
        }
        let settings = try read(files)
        #expect(settings.options["state.redis"]?.words.last == "redis://:p@ss@h/0")
        #expect(settings.options["state.cluster"]?.words.last == "main")
        #expect(!EffectiveConfiguration.yaml(settings).contains("p@ss"))
        #expect {
            try read([:])
        } throws: { error in
            "\(error)".contains("test.yaml:1:")
                && "\(error)".contains("'${file:secret/redis}' cannot be read: No such file")
        }
    }

    @Test func `the environment goes before the file, and its errors name the variable`() throws {
        let settings = try read(
            "capture: {buffer: 128, interfaces: [lo]}\nquota: {mode: warn}",
            [
                "PGWEIR_CAPTURE__BUFFER": "256", "PGWEIR_CAPTURE__INTERFACES": "[eth0, eth1]",
                "PGWEIR_QUOTA__MODE": "enforce", "PGWEIR_CONFIG": "elsewhere", "PGWEIR_STATE__REDIS": "redis://:pw@h/0",
            ]
        )
        #expect(settings.options["capture.buffer"]?.words == ["--buffer", "256"])
        #expect(settings.options["capture.buffer"]?.origin == "$PGWEIR_CAPTURE__BUFFER")
        #expect(settings.options["capture.interfaces"]?.words == ["--interface", "eth0", "--interface", "eth1"])
        #expect(settings.options["state.redis"]?.words.last == "redis://:pw@h/0")
        #expect(settings.policy.mode == .enforce)
        #expect {
            try read("", ["PGWEIR_CAPTURE__BUFER": "1"])
        } throws: {
            "\($0)".contains("PGWEIR_CAPTURE__BUFER")
        }
    }

    @Test func `a file of aliases that multiply is refused`() {
        var yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<8 {
            yaml +=
                "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
                + "]\n"
        }
        #expect {
            try read(yaml)
        } throws: {
            "\($0)".contains("more than fits")
        }
    }

    @Test func `a key may stand in a file of its own`() throws {
        var settings = try read("quota: {key_file: k}")
        #expect(settings.keyFile?.name == "k")
        try settings.take(keyFile: "00112233445566778899aabbccddeeff\n")
        #expect(settings.key?.count == 16)
        #expect(throws: SettingsError.self) { try settings.take(keyFile: "short") }
    }

    @Test func `what is printed reads back as the same`() throws {
        let yaml =
            "capture: {interfaces: [lo], ports: [5432]}\nquota: {tiers: {free: {hourly: 20k}}, users: {'a.b c': free}}"
        let settings = try read(yaml)
        let again = try read(EffectiveConfiguration.yaml(settings))
        #expect(again.options["capture.interfaces"]?.words == settings.options["capture.interfaces"]?.words)
        #expect(again.policy.users == settings.policy.users)
        #expect(again.policy.tiers == settings.policy.tiers)
    }
}

struct WebConfigurationTests {
    private static let hash = "$2b$10$abcdefghijklmnopqrstuuJXm0Rm1yB4n8dC4Q2ZsC8o9v2v7s0Ue"

    @Test func `reads the exporters' layout`() throws {
        let web = try WebConfiguration(
            yaml: """
                tls_server_config: {cert_file: c.pem, key_file: k.pem, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}
                basic_auth_users: {prom: \(Self.hash)}
                """,
            file: "w.yaml"
        )
        #expect(web.certificate == "c.pem" && web.key == "k.pem" && web.clientAuthorities == "ca.pem")
        #expect(web.users == ["prom": Self.hash])
    }

    @Test(arguments: [
        ("basic_auth_users: {a: plain}", "must be a bcrypt hash"),
        ("tls_server_config: {cert_file: c}", "needs 'cert_file'"),
        ("tls_server_config: {cert_file: c, key_file: k, client_ca_file: a}", "needs 'client_auth_type"),
        ("tls: {}", "unknown key 'tls'"),
    ])
    func `what is wrong is told`(yaml: String, message: String) {
        #expect {
            try WebConfiguration(yaml: yaml, file: "w.yaml")
        } throws: {
            "\($0)".contains(message)
        }
    }
}

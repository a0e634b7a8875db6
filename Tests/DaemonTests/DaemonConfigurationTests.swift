// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Fingerprints
import Metering
import Packets
import Pipeline
import Quotas
import Reports
import Settings
import TestKit
import Testing

@testable import Daemon

struct DaemonConfigurationTests {
    private func make() -> DaemonConfiguration {
        DaemonConfiguration(
            LiveTapOptions(interfaces: ["eth0"]),
            socket: SocketPlace("/run/a/pgweir.sock"),
            output: .lines
        )
    }

    @Test func `what is tapped follows from the services that are wanted`() {
        var daemon = make()
        var options = daemon.tapOptions(PolicySettings())
        #expect(options.isMetered && options.keepsActivity && options.tellsServers)
        #expect(!options.resolvesSessions && !options.isDivided && !daemon.learnsServers)
        daemon.poolers = ["host=pooler"]
        daemon.prices.keeping.redis = "redis://host"
        (daemon.quotas.noQuotas, daemon.operation.noHistory) = (true, true)
        options = daemon.tapOptions(PolicySettings())
        #expect(!options.isMetered && !options.keepsActivity)
        #expect(options.resolvesSessions && options.isDivided && daemon.learnsServers)
    }

    @Test func `a relay's connections are never given up for being silent, nor shared with other nodes`() {
        var daemon = make()
        daemon.prices.keeping.redis = "redis://host"
        daemon.activity = ["host=server"]
        daemon.proxy = ProxyConfiguration(path: daemon.socket.sibling("relay.sock"), starts: false, arguments: [])
        let options = daemon.tapOptions(PolicySettings())
        #expect(options.limits.idle == .max / 2 && options.limits.blankIdle == .max / 2)
        #expect(!options.isDivided && !options.tellsServers && !daemon.learnsServers)
        #expect(daemon.proxy?.path == "/run/a/relay.sock")
    }

    @Test func `durations alone teach prices where no place is named for them`() {
        var prices = ExplainConfiguration()
        #expect(prices.scheme.source == .durations)
        prices.keeping.state = "/var/lib/pgweir"
        #expect(prices.scheme.source == .planner)
    }

    @Test func `a configuration becomes words where the command line does not say it itself`() throws {
        let settings = try Settings(
            yaml: "capture: {interfaces: [eth0], ports: [6432]}\nproxy: {listen: \"127.0.0.1:6543\"}\n",
            file: "c.yaml",
            environment: [:]
        )
        #expect(Launch.words(settings, besides: ["-i", "eth1"]) == ["--port", "6432", "--listen", "127.0.0.1:6543"])
        let proxy = Launch.words(settings, besides: ["--mode", "proxy"])
        #expect(proxy == ["--listen", "127.0.0.1:6543"])
        let mirror = Launch.words(settings, besides: ["--mode=mirror"])
        #expect(mirror == ["--interface", "eth0", "--port", "6432"])
        #expect(Launch.words(settings, besides: [], ["capture.ports"]) == ["--port", "6432"])
    }

    @Test func `a price file beside the configuration prices statements and fingerprints`() throws {
        let folder = try ScratchFolder()
        try folder.write("select 1: 5\nffffffffffffffffffffffffffffffff: 7\n", to: "prices.yaml")
        try folder.write("pricing: {file: prices.yaml, default: 3}\n", to: "pgweir.yaml")
        let settings = try PolicySettings.load(folder.file("pgweir.yaml"))
        var normalizer = Normalizer(hash: settings.hash)
        let sql = Array("SELECT 2".utf8)
        let sketch = normalizer.sketch(sql.rawSpan, from: 0)
        #expect(settings.prices.price(of: sketch?.fingerprint ?? .unknown) == CostUnits(units: 5))
        #expect(settings.prices.fallback == CostUnits(units: 3))
    }

    @Test func `a price file that is not there is told with the place that names it`() throws {
        let folder = try ScratchFolder()
        try folder.write("pricing: {file: prices.yaml}\n", to: "pgweir.yaml")
        let error = #expect(throws: SettingsError.self) { try PolicySettings.load(folder.file("pgweir.yaml")) }
        #expect(error?.description.contains("pgweir.yaml:1:") == true)
        #expect(error?.description.contains("No such file") == true)
    }

    @Test func `lengths and ends of time are read as people write them`() {
        #expect(["90s", "30m", "6h", "7d"].map { Length(argument: $0)?.seconds } == [90, 1800, 21_600, 604_800])
        #expect(["", "s", "0s", "-1m", "1w", "1000001s", "1.5h"].allSatisfy { Length(argument: $0) == nil })
        #expect(EndTime(argument: "18:30") != nil && EndTime(argument: "2027-01-31T08:00") != nil)
        #expect(["24:00", "8", "2027-13-01T08:00", "2027-01-31 T08:00:00"].allSatisfy { EndTime(argument: $0) == nil })
    }
}

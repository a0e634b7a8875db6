// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Quotas
import Settings
import Testing

struct QuotaSectionTests {
    private func read(_ text: String) throws -> Settings {
        try Settings(
            yaml: "quota:\n" + text.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"),
            file: "c.yaml",
            environment: ["KEY": "00112233445566778899AABBCCDDEEFF", "SHORT": "0011"]
        )
    }

    @Test func `all of it`() throws {
        let settings = try read(
            """
            time_zone: Europe/Berlin
            mode: warn
            max_limited: 35%
            connections: {limited: 8, severe: 2}
            key: ${KEY}
            exempt: [postgres, "backup_*"]
            tiers:
              free: {hourly: 1M, daily: 10M, monthly: 100M, mode: enforce, floor: 2}
              paid: {sliding: {10m: 300k, 1h: 1M}, burst: {units: 50k, refill: 90s}}
            users: {alice: paid}
            patterns: {"app_*": free, "*": paid}
            default_tier: free
            directory:
              server: host=db dbname=app
              roles: {analysts: paid, staff: free}
              query: select usename as user, 'paid' as tier from pg_user
              every: 5m
            """
        )
        let policy = settings.policy
        #expect(policy.zone.name == "Europe/Berlin" && policy.mode == .warn && policy.mostLimited == 0.35)
        #expect(policy.connections == LadderConnections(limited: 8, severe: 2))
        #expect(
            settings.key == [
                0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF,
            ]
        )
        #expect(policy.isExempt("backup_7") && !policy.isExempt("alice"))
        #expect(policy.tiers["free"]?.limits.map(\.window) == [.hour, .day, .month])
        #expect(policy.tiers["free"]?.mode == .enforce && policy.tiers["free"]?.floor == 2)
        let paid = Set(policy.tiers["paid"]?.limits.map(\.window) ?? [])
        #expect(paid == [.sliding(seconds: 600), .sliding(seconds: 3600), .burst(seconds: 90)])
        #expect(policy.tierName(of: "alice") == "paid" && policy.tierName(of: "app_1") == "free")
        #expect(policy.tierName(of: "bob") == "paid")
        #expect(settings.directory?.roles.map(\.name) == ["analysts", "staff"] && settings.directory?.every == 300)
    }

    @Test(arguments: [
        ("tiers: {a: {hourly: 1, burst: {units: 5}}}\ndefault_tier: a", "'burst' needs 'units' and 'refill'"),
        ("tiers: {a: {sliding: {5s: 1}}}\ndefault_tier: a", "must be a time from 60 s"),
        ("tiers: {a: {sliding: {10x: 1}}}\ndefault_tier: a", "Found '10x'"),
        ("tiers: {'!a': {hourly: 1}}\ndefault_tier: '!a'", "not begin with '!'"),
        ("tiers: {a: {mode: hard}}\ndefault_tier: a", "must be one of"),
        ("tiers: {a: {floor: 0}}\ndefault_tier: a", "whole number from 1"),
        ("mode: enforced", "Found 'enforced'"),
        ("time_zone: ../../etc/passwd", "there is no"),
        ("time_zone: Europe/Berlln", "there is no 'Europe/Berlln'"),
        ("max_limited: 120%", "from 0% to 100%"),
        ("key: ${SHORT}", "32 hexadecimal digits"),
        ("key: 00112233445566778899AABBCCDDEEFF", "a secret does not stand in the configuration"),
        ("exempt: postgres", "must be a list"),
        ("directory: {roles: {a: free}}", "needs 'server'"),
        ("directory: {server: x}", "needs 'roles' or 'query'"),
        ("directory: {server: x, roles: {a: nosuch}}", "not defined"),
        ("patterns: {x: nosuch}", "not defined"),
    ])
    func `what is wrong is said with its place`(_ text: String, _ message: String) {
        #expect {
            try read(text)
        } throws: { error in
            let text = (error as? SettingsError)?.description ?? ""
            return text.contains(message) && text.hasPrefix("c.yaml:")
        }
    }

    /// The same moments by the C library's eyes.
    @Test(arguments: [
        "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Tokyo",
    ])
    func `zones agree with the system's own`(name: String) throws {
        let zone = try read("time_zone: \(name)").policy.zone
        let system = try #require(TimeZone(identifier: name))
        for day in stride(from: 0, to: 40_000, by: 3) {
            let time = Int64(day) * 86_400 + Int64(day) * 7919 % 86_400
            let expected = system.secondsFromGMT(for: Date(timeIntervalSince1970: Double(time)))
            #expect(zone.offset(at: time) == Int64(expected), "day \(day)")
        }
    }

    @Test func `hashes of users differ by secret and cluster, and tell no name`() {
        let secret = Array("0123456789abcdef".utf8)
        let hasher = UserHasher(secret: secret, cluster: "main")
        #expect(hasher.key(of: "ann") == UserHasher(secret: secret, cluster: "main").key(of: "ann"))
        #expect(hasher.key(of: "ann") != hasher.key(of: "ann "))
        #expect(hasher.key(of: "ann") != UserHasher(secret: secret, cluster: "other").key(of: "ann"))
        #expect(hasher.key(of: "ann") != UserHasher(secret: UserHasher.newSecret(), cluster: "main").key(of: "ann"))
        // HMAC-SHA-256 of "main", NUL, "ann", by openssl.
        #expect(hasher.key(of: "ann").description == "81008dcffcafd0c2f579893ad351045d")
    }
}

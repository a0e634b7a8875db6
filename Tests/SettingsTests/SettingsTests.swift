// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import Settings
import TestKit
import Testing

struct SettingsTests {
    @Test func `reads tiers, users, prices and the seed`() throws {
        let settings = try Settings(
            yaml: """
                quota:
                  default_tier: small
                  tiers:
                    small: {hourly: 1_000, daily: 2.5k}
                    big: {daily: 1G}
                  users: {alice: big}
                pricing: {default: 10, file: prices.yaml}
                fingerprint: {seed: 0xff}
                """,
            file: "c.yaml"
        )
        #expect(settings.policy.tier(of: "alice")?.daily?.units == 1e9)
        #expect(settings.policy.tier(of: "alice")?.hourly == nil)
        #expect(settings.policy.tier(of: "bob")?.daily?.units == 2500)
        #expect(settings.defaultPrice?.units == 10)
        #expect(settings.priceFile == "prices.yaml")
        #expect(settings.seed == 255)
    }

    @Test(arguments: [
        ("qouta: {}", "c.yaml:1:1: unknown key 'qouta'"), ("quota:\n  tires: {}", "c.yaml:2:3: unknown key 'tires'"),
        ("quota:\n  tiers:\n    free: {hourly: lots}", "c.yaml:3:20: 'hourly' must be a number"),
        ("quota:\n  tiers:\n    free: {hourly: -5}", "above 0"),
        ("quota:\n  users: {a: gold}", "c.yaml:2:14: the user 'a' names the tier 'gold'"),
        ("quota:\n  tiers: {a: {hourly: 1}}", "'quota.default_tier' is missing"),
        ("quota: [", "c.yaml:2:1: not valid YAML"), ("quota: 5", "must be a mapping"),
        ("pricing: {default: nan}", "above 0"), ("fingerprint: {seed: x}", "whole number"),
        ("quota: {}\nquota: {}", "stands there twice"),
    ])
    func `a mistake is told with its place and what to write instead`(_ yaml: String, _ text: String) {
        #expect { try Settings(yaml: yaml, file: "c.yaml") } throws: { "\($0)".contains(text) }
    }

    @Test func `an empty file is the standard policy`() throws {
        #expect(try Settings(yaml: "", file: "c").policy.fallback == "free")
    }

    @Test func `the shipped example is valid`() throws {
        let text = String(decoding: try Repository.read(Repository.root + "/Fixtures/pgweir.yaml"), as: UTF8.self)
        #expect(try Settings(yaml: text, file: "pgweir.yaml").policy.users.isEmpty == false)
    }
}

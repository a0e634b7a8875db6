// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What `pgweir top` needs of a daemon's status (`Documentation/live.md`).
public struct TopSample: Decodable, Sendable {
    struct Daemon: Decodable, Sendable {
        var pid: Int
        var interfaces: [String]
        var unknownSessions: Int
        var workersSilent: Int
    }
    struct Session: Decodable, Sendable {
        var client: String
        var user: String?
        var database: String?
        var application: String
        var state: String
        var seconds: Double
        var text: String?
    }
    struct Report: Decodable, Sendable {
        var capture: Capture
        var statements: Statements
        var users: [User]
        var unattributed: Counts
        var patterns: [Pattern]
        var performance: Performance
    }
    struct Capture: Decodable, Sendable {
        var packets: UInt64
        var bytes: UInt64
        var gaps: UInt64
        var kernelDropped: UInt64
        var interfaceDropped: UInt64
    }
    struct Statements: Decodable, Sendable { var total: UInt64 }
    struct Performance: Decodable, Sendable { var workerCpuSeconds: [Double] }
    struct Counts: Decodable, Sendable {
        var statements: UInt64
        var costUnits: Double
    }
    struct User: Decodable, Sendable {
        var user: String?
        var database: String?
        var statements: UInt64
        var errors: UInt64
        var rows: UInt64
        var durationSeconds: Double
        var costUnits: Double
        var tier: String?
        var utilization: Double
        var verdict: String

        var key: String { "\(user ?? "–")@\(database ?? "–")" }
    }
    struct Pattern: Decodable, Sendable {
        struct Durations: Decodable, Sendable {
            var p50: Double
            var p99: Double
            var sum: Double
        }
        var fingerprint: String
        var text: String?
        var database: String?
        var calls: UInt64
        var errors: UInt64
        var rows: UInt64
        var costUnits: Double
        var durationSeconds: Durations

        var key: String { "\(fingerprint)@\(database ?? "–")" }
    }

    var daemon: Daemon
    var openSessions: [Session]
    var report: Report

    /// Reads the JSON of `pgweir status --format json`.
    public init(json: [UInt8]) throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        self = try decoder.decode(Self.self, from: Data(json))
    }
}

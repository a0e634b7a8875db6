// SPDX-License-Identifier: Apache-2.0
public import Telemetry

/// Where pages and metrics are served, what is kept for reports, and what may be shown.
public struct OperationConfiguration: Sendable {
    /// Where pages are served, as `host:port`, or `none`.
    public var webAddress = Self.standardAddress
    /// The file of certificates and passwords for them.
    public var webFile: String?
    /// Keep no minutes for 'pgweir report'.
    public var noHistory = false
    /// How long minutes are kept, in seconds, and how large their file may grow, in bytes.
    public var historyLimits: (seconds: Int64, bytes: Int64) = (30 * 86_400, 1 << 30)
    /// What is logged, and in which form.
    public var logLevel = LogLevel.info
    /// The form of log lines.
    public var logFormat = LogFormat.text
    /// What may be shown and kept of users and statements.
    public var privacy = Privacy()

    /// The defaults.
    public init() {}

    /// Where pages are served if nobody names an address.
    public static let standardAddress = "127.0.0.1:9932"
}

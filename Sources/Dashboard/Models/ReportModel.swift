// SPDX-License-Identifier: Apache-2.0

/// A report over the history: `pgweir report`.
public struct ReportModel: Encodable, Sendable {
    public var title = "", span = ""
    /// RFC 3339.
    public var time = ""
    /// From this minute to before that one, since the epoch, and the step of the trend.
    public var from: Int64 = 0, to: Int64 = 0, step: Int64 = 1
    public var calls: Int64 = 0, errors: Int64 = 0, rows: Int64 = 0, bytes: Int64 = 0
    public var costUnits = 0.0, costUnitsHigh = 0.0, seconds = 0.0
    /// What the groups are, such as `User`; their ``UserModel/utilization`` is the share of all cost.
    public var group = ""
    /// The heaviest groups.
    public var groups: [UserModel] = []
    /// The heaviest patterns.
    public var patterns: [PatternModel] = []
    /// Cost over time.
    public var trend: [MinuteModel] = []

    /// A model of these values.
    public init() {}
}

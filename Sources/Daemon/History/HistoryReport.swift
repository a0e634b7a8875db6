// SPDX-License-Identifier: Apache-2.0
public import Analytics
public import Dashboard
import Domain
import Platform
public import SQLiteStore

/// What `pgweir report` shows of the history.
public struct HistoryReport {
    /// The history, beside the daemon's other files.
    public static let fileName = "minutes.sqlite"

    /// How far back it begins, and ends, in seconds.
    public var since: Int64, until: Int64
    /// What is shown first, by what it is sorted, and lines of each table.
    public var by: HistoryGrouping, order: String, top: Int
    /// Only this user: a name, or a hash.
    public var user: String?

    /// A report of a span, in seconds before now.
    public init(since: Int64, until: Int64, by: HistoryGrouping, order: String, top: Int, user: String?) {
        (self.since, self.until, self.by, self.order, self.top, self.user) = (since, until, by, order, top, user)
    }

    /// Makes it of what is kept.
    public func make(_ store: MinuteHistory, _ names: UserNames) throws -> ReportModel {
        let now = HistoryService.minute() + 1
        let to = now - until / 60
        var question = HistoryQuestion(from: now - since / 60, to: to, by: by, order: order, limit: top)
        question.user = user.map { names.id(of: $0.asAccountName) }
        var report = ReportModel()
        (report.from, report.to, report.time) = (question.from, to, SystemClock.time().rfc3339)
        report.step = max(1, (to - question.from) / 72)
        report.title = "Who ran what" + (user.map { ": \($0)" } ?? "")
        report.span = "\(ModelMaker.time(question.from * 60)) to \(ModelMaker.time(to * 60))"
        let groups = by == .pattern ? nil : try store.groups(question)
        question.grouping = .pattern
        let patterns = try store.groups(question)
        let total = patterns.total
        (report.calls, report.errors, report.rows, report.bytes) = (total.calls, total.errors, total.rows, total.bytes)
        (report.costUnits, report.costUnitsHigh) = (
            CostUnits(micro: total.low).units, CostUnits(micro: total.high).units
        )
        report.seconds = Double(total.time) / 1e9
        report.group = by == .database ? "Database" : "User"
        report.groups = (groups?.groups ?? []).map { group in
            var model = ModelMaker.user(group)
            if by == .database {
                model.name = group.database ?? "not known"
            } else {
                model.name = group.name ?? names.name(of: model.id)
            }
            model.utilization = ModelMaker.share(Double(group.sums.low), of: Double(total.low))
            return model
        }
        report.trend = try store.trend(question, step: report.step).map { ModelMaker.minute($0.minute, $0.sums) }
        let keys = patterns.groups.compactMap(\.fingerprint)
        let trends = try store.trends(of: keys, from: question.from, to: to, step: report.step)
        let first = question.from / report.step * report.step
        report.patterns = patterns.groups.map { group in
            var model = ModelMaker.pattern(group, of: total)
            let steps = group.fingerprint.flatMap { trends[$0] } ?? [:]
            model.trend = stride(from: first, to: to, by: Int64.Stride(report.step)).map {
                CostUnits(micro: steps[$0]?.low ?? 0).units
            }
            return model
        }
        return report
    }
}

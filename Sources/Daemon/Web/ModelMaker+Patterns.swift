// SPDX-License-Identifier: Apache-2.0
import Dashboard
import Domain
import Metering
import Packets
import Pipeline
import PostgresWire
import Quotas
import Reports
import SQLiteStore
import Settings

extension ModelMaker {
    // MARK: Patterns

    /// The heaviest patterns of a span, and how many there are; of one user, if asked.
    func patterns(
        _ span: SpanModel,
        order: String,
        limit: Int,
        user: String? = nil,
        only fingerprint: Fingerprint? = nil
    ) -> (patterns: [PatternModel], count: Int) {
        guard let store = view.history?.store else { return livePatterns(order, limit, user, fingerprint) }
        let now = HistoryService.minute() + 1
        var question = HistoryQuestion(from: now - span.minutes, to: now, by: .pattern, order: order, limit: limit)
        (question.user, question.pattern) = (user, fingerprint)
        guard let found = try? store.groups(question), !found.groups.isEmpty else {
            return livePatterns(order, limit, user, fingerprint)
        }
        var whole = question
        (whole.user, whole.pattern, whole.limit) = (nil, nil, 0)
        let all = user == nil && fingerprint == nil ? found.total : (try? store.groups(whole))?.total ?? found.total
        let trends =
            (try? store.trends(
                of: found.groups.compactMap(\.fingerprint),
                from: question.from,
                to: question.to,
                step: span.step
            )) ?? [:]
        let first = question.from / span.step * span.step
        let patterns = found.groups.map { group -> PatternModel in
            var model = Self.pattern(group, of: all)
            if !view.privacy.keepsTexts { model.text = nil }
            let steps = group.fingerprint.flatMap { trends[$0] } ?? [:]
            model.trend = stride(from: first, to: question.to, by: Int64.Stride(span.step)).map {
                CostUnits(micro: steps[$0]?.low ?? 0).units
            }
            return model
        }
        return (patterns, found.count)
    }

    /// Since the daemon began, where there is no history yet.
    private func livePatterns(
        _ order: String,
        _ limit: Int,
        _ user: String?,
        _ fingerprint: Fingerprint?
    ) -> (patterns: [PatternModel], count: Int) {
        guard user == nil else { return ([], 0) }
        let result = view.snapshot().result
        let total = max(1, result.patterns.reduce(Int64(0)) { $0 &+ $1.costLow.micro })
        let found = result.patterns.filter { fingerprint == nil || $0.fingerprint == fingerprint }
        let sorted = found.sorted { left, right in
            switch order {
            case "calls": left.calls > right.calls
            case "time": left.durations.sum > right.durations.sum
            case "errors": left.errors > right.errors
            default: left.costLow.micro > right.costLow.micro
            }
        }
        let patterns = sorted.prefix(limit).map { usage in
            var model = PatternModel()
            model.fingerprint = usage.fingerprint.description
            model.text = view.privacy.keepsTexts ? String(decoding: usage.text, as: UTF8.self) : nil
            model.database = usage.database
            (model.calls, model.errors) = (Int64(clamping: usage.calls), Int64(clamping: usage.errors))
            model.rows = Int64(clamping: usage.rows)
            (model.costUnits, model.costUnitsHigh) = (usage.costLow.units, usage.cost.units)
            model.share = Double(usage.costLow.micro) / Double(total)
            Self.fill(&model, usage.durations)
            return model
        }
        return (Array(patterns), found.count)
    }

    /// One pattern, over all its databases; `nil` where it was not seen in the span.
    func pattern(_ fingerprint: Fingerprint, _ span: SpanModel) -> PatternModel? {
        let found = patterns(span, order: "cost", limit: 100, only: fingerprint).patterns
        guard var sum = found.first else { return nil }
        for other in found.dropFirst() {
            sum.calls += other.calls
            sum.errors += other.errors
            sum.rows += other.rows
            sum.costUnits += other.costUnits
            sum.share += other.share
            sum.seconds += other.seconds
        }
        return sum
    }

    /// Cost of equal steps: of one user or pattern.
    func trend(_ span: SpanModel, user: String? = nil, pattern: Fingerprint? = nil) -> [MinuteModel] {
        guard let store = view.history?.store else { return [] }
        let now = HistoryService.minute() + 1
        var question = HistoryQuestion(from: now - span.minutes, to: now, by: .user)
        (question.user, question.pattern) = (user, pattern)
        return ((try? store.trend(question, step: span.step)) ?? []).map { Self.minute($0.minute, $0.sums) }
    }

    /// Who ran a pattern.
    func runners(of pattern: Fingerprint, _ span: SpanModel) -> [UserModel] {
        guard let store = view.history?.store else { return [] }
        let now = HistoryService.minute() + 1
        let question = HistoryQuestion(from: now - span.minutes, to: now, by: .user, limit: 20, pattern: pattern)
        return ((try? store.groups(question))?.groups ?? []).map { group in
            var model = Self.user(group)
            model.name = view.name(ofUser: group.user) ?? group.name
            return model
        }
    }

    static func pattern(_ group: HistoryGroup, of total: HistorySums) -> PatternModel {
        var model = PatternModel()
        model.fingerprint = group.fingerprint?.description ?? ""
        (model.text, model.database) = (group.text, group.database)
        (model.calls, model.errors, model.rows) = (group.sums.calls, group.sums.errors, group.sums.rows)
        model.bytes = group.sums.bytes
        model.costUnits = CostUnits(micro: group.sums.low).units
        model.costUnitsHigh = CostUnits(micro: group.sums.high).units
        model.share = share(Double(group.sums.low), of: Double(total.low))
        var durations = DurationHistogram()
        for text in group.durations { durations.add(text: text, sum: 0, longest: 0) }
        durations.add(text: "", sum: UInt64(clamping: group.sums.time), longest: UInt64(clamping: group.sums.longest))
        fill(&model, durations)
        return model
    }

    private static func fill(_ model: inout PatternModel, _ durations: DurationHistogram) {
        func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }
        (model.seconds, model.longest) = (seconds(durations.sum), seconds(durations.longest))
        model.p50 = seconds(durations.percentile(0.5))
        (model.p95, model.p99) = (seconds(durations.percentile(0.95)), seconds(durations.percentile(0.99)))
    }
}

// SPDX-License-Identifier: Apache-2.0
import Domain
import Mustache

/// The pages, as HTML from models: what is in a model is escaped, pictures are made here.
public struct Dashboard: Sendable {
    private let library: MustacheLibrary
    private let version: String

    /// The pages; a template of ours that cannot be read is a fault of the build, which the tests find.
    public init(version: String) throws {
        self.version = version
        library = MustacheLibrary(templates: try Templates.all.mapValues { try MustacheTemplate(string: $0) })
    }

    /// A file of the pages: stylesheet, script, icon; `nil` for any other path.
    public static func asset(_ path: String) -> (type: String, text: String)? {
        switch path {
        case "/style.css": ("text/css; charset=utf-8", Stylesheet.text)
        case "/page.js": ("text/javascript; charset=utf-8", Script.text)
        case "/icon.svg": ("image/svg+xml", Templates.icon)
        default: nil
        }
    }

    // MARK: Pages

    /// The first page.
    public func now(_ status: StatusModel, users: [UserModel], patterns: [PatternModel], span: String) -> String {
        var values = rows(of: patterns)
        values.merge(rows(of: users)) { first, _ in first }
        let last = status.minutes.last?.minute ?? 0
        func chart(_ label: String, _ value: (MinuteModel) -> Double) -> String {
            Charts.bars(
                status.minutes.map { ($0.minute, value($0)) },
                from: last - 59,
                to: last + 1,
                step: 1,
                label: label,
                unit: Quantity.short
            )
        }
        values.merge([
            "hasProblems": !status.problems.isEmpty, "problems": status.problems, "tiles": Self.tiles(status),
            "verification": status.verification,
            "hasMinutes": !status.minutes.isEmpty, "costChart": chart("Cost units per minute", \.costUnits),
            "callsChart": chart("Statements per minute") { Double($0.calls) },
            "userCount": Quantity.grouped(Int64(status.users)),
            "patternSpan": span, "showsNames": status.showsNames,
        ]) { first, _ in first }
        return page("now", "Now", status, values)
    }

    private static func tiles(_ status: StatusModel) -> [[String: Any]] {
        func tile(_ name: String, _ value: String, isBad: Bool = false) -> [String: Any] {
            ["name": name, "value": value, "isBad": isBad]
        }
        var tiles = [
            tile(
                status.statementsLastMinute == nil ? "statements since the start" : "statements in the last minute",
                status.statementsLastMinute.map { Quantity.short(Double($0)) }
                    ?? Quantity.short(Double(status.statements))
            ),
            tile(
                status.costUnitsLastMinute == nil ? "cost units since the start" : "cost units in the last minute",
                Quantity.short(status.costUnitsLastMinute ?? status.costUnits)
            ),
            tile("sessions open, \(status.activeSessions) busy", Quantity.grouped(Int64(status.openSessions))),
            tile("users, \(status.limitedUsers) limited", Quantity.grouped(Int64(status.users))),
            tile(
                "of bytes never seen, \(Quantity.grouped(Int64(clamping: status.lostPackets))) packets dropped",
                Quantity.percent(status.lossShare),
                isBad: status.lossShare > 0.001 || status.lostPackets > 0
            ),
            tile(
                "of sessions encrypted: not readable",
                Quantity.percent(status.blindShare),
                isBad: status.blindShare > 0.05
            ),
        ]
        if let share = status.verifiedShare {
            tiles.append(
                tile("of what the server counted was seen", Self.floored(share), isBad: share < 0.95)
            )
        }
        return tiles
    }

    /// Such as `99.9 %`: what was not seen whole is not 100 %.
    private static func floored(_ share: Double) -> String {
        share >= 1 ? "100 %" : Quantity.decimal((share * 1000).rounded(.down) / 10, 1) + " %"
    }

    /// The users whose budgets are fullest.
    public func users(_ status: StatusModel, _ users: [UserModel]) -> String {
        var values = rows(of: users)
        values["userCount"] = Quantity.grouped(Int64(status.users))
        if users.count < status.users { values["shown"] = Quantity.grouped(Int64(users.count)) }
        if status.unattributedStatements > 0 {
            values["unattributed"] =
                "\(Quantity.grouped(Int64(clamping: status.unattributedStatements))) statements "
                + "(\(Quantity.short(status.unattributedCostUnits)) units) are nobody's: their sessions began before they were watched."
        }
        return page("users", "Users", status, values)
    }

    /// One user.
    public func user(
        _ status: StatusModel,
        _ user: UserModel,
        patterns: [PatternModel],
        trend: [MinuteModel],
        span: SpanModel,
        until: Int64,
        audit: [AuditModel]
    ) -> String {
        var values = row(of: user)
        values.merge(rows(of: patterns)) { first, _ in first }
        values.merge(rows(of: audit)) { first, _ in first }
        values["since"] = user.since.map { "since \($0)" } ?? "verdict"
        values["override"] = user.override
        values["hasBudgets"] = !user.budgets.isEmpty
        values["budgets"] = user.budgets.map { budget -> [String: Any] in
            [
                "window": budget.window, "share": Quantity.percent(budget.utilization),
                "gauge": Charts.gauge(
                    budget.utilization,
                    budget.utilizationHigh,
                    verdict: Self.verdict(budget.utilization),
                    label: Quantity.percent(budget.utilization)
                ),
                "used": Quantity.short(budget.used), "possible": Quantity.short(budget.possible),
                "budget": Quantity.short(budget.budget), "resets": budget.resets ?? "bit by bit",
            ]
        }
        values["hasEnforcement"] = !user.enforcement.isEmpty
        values["enforcement"] = user.enforcement.map { entry -> [String: Any] in
            [
                "backend": entry.backend, "state": entry.state, "reason": entry.reason,
                "connections": entry.connections.map { String($0) } ?? "all",
                "observed": entry.observed.map { String($0) } ?? "–",
            ]
        }
        spans(span, "/users/\(user.id)", "", &values)
        values["chart"] = cost(trend, span, until)
        return page("user", user.name ?? user.id, status, values)
    }

    private static func verdict(_ share: Double) -> String {
        share >= 1.5 ? "severe" : share >= 1 ? "limited" : share >= 0.8 ? "warning" : "ok"
    }

    /// Patterns of a span.
    public func patterns(
        _ status: StatusModel,
        _ patterns: [PatternModel],
        count: Int,
        order: String,
        span: SpanModel
    ) -> String {
        var values = rows(of: patterns)
        values["patternCount"] = Quantity.grouped(Int64(count))
        spans(span, "/patterns", "sort=\(order)&", &values)
        let orders = ["cost", "time", "calls", "errors"].map { name -> [String: Any] in
            ["href": "/patterns?sort=\(name)&span=\(span.name)", "name": "by " + name, "isCurrent": name == order]
        }
        values["tabs"] = orders + (values["tabs"] as? [[String: Any]] ?? [])
        return page("patterns", "Patterns", status, values)
    }

    /// One pattern.
    public func pattern(
        _ status: StatusModel,
        _ pattern: PatternModel,
        runners: [UserModel],
        trend: [MinuteModel],
        span: SpanModel,
        until: Int64
    ) -> String {
        func tile(_ name: String, _ value: String) -> [String: Any] { ["name": name, "value": value] }
        var values: [String: Any] = [
            "fingerprint": pattern.fingerprint, "text": pattern.text ?? "The text is not kept.",
            "tiles": [
                tile("cost units", Quantity.short(pattern.costUnits)),
                tile("of all cost", Quantity.percent(pattern.share)),
                tile("calls, \(Quantity.grouped(pattern.errors)) errors", Quantity.short(Double(pattern.calls))),
                tile("rows", Quantity.short(Double(pattern.rows))),
                tile("server time", Quantity.duration(seconds: pattern.seconds)),
                tile("median", Quantity.duration(seconds: pattern.p50)),
                tile("95th percentile", Quantity.duration(seconds: pattern.p95)),
                tile("99th percentile", Quantity.duration(seconds: pattern.p99)),
            ],
            "hasRunners": !runners.isEmpty, "runners": runners.map { runner(of: $0) },
        ]
        spans(span, "/patterns/\(pattern.fingerprint)", "", &values)
        values["chart"] = cost(trend, span, until)
        return page("pattern", "Pattern", status, values)
    }

    /// Limits that hold.
    public func limits(_ status: StatusModel, _ users: [UserModel], lease: String) -> String {
        let entries = users.map { user -> [String: Any] in
            let places = user.enforcement.map { "\($0.backend): \($0.state)" }.joined(separator: ", ")
            return row(of: user).merging([
                "since": user.since ?? "", "where": places, "override": user.override ?? "",
            ]) { _, new in new }
        }
        let count = users.isEmpty ? "None" : "\(users.count) user\(users.count == 1 ? "" : "s")"
        return page(
            "limits",
            "Limits",
            status,
            ["count": count, "lease": lease, "hasLimits": !users.isEmpty, "limits": entries]
        )
    }

    /// What was done.
    public func audit(_ status: StatusModel, _ entries: [AuditModel]) -> String {
        page("audit", "Audit", status, rows(of: entries))
    }

    /// For what is not there.
    public func missing(_ status: StatusModel, title: String, text: String) -> String {
        page("missing", title, status, ["title": title, "text": text])
    }

    // MARK: Parts

    private func rows(of users: some Sequence<UserModel>) -> [String: Any] {
        let rows = users.map { row(of: $0) }
        return ["hasUsers": !rows.isEmpty, "users": rows]
    }

    private func row(of user: UserModel) -> [String: Any] {
        [
            "id": user.id, "title": user.name ?? user.id, "tier": user.tier, "mode": user.mode, "verdict": user.verdict,
            "used": Quantity.percent(user.utilization), "action": user.action,
            "gauge": user.budgets.isEmpty
                ? ""
                : Charts.gauge(
                    user.utilization,
                    user.utilizationHigh,
                    verdict: user.verdict,
                    label: "\(Quantity.percent(user.utilization)) used"
                ),
            "statements": Quantity.grouped(Int64(clamping: user.statements)), "cost": Quantity.short(user.costUnits),
        ]
    }

    func runner(of user: UserModel) -> [String: Any] {
        var values: [String: Any] = [
            "title": user.name ?? (user.id.isEmpty ? "nobody known" : user.id), "cost": Quantity.short(user.costUnits),
            "share": Quantity.percent(user.utilization), "calls": Quantity.grouped(Int64(clamping: user.statements)),
            "time": Quantity.duration(seconds: user.seconds), "errors": Quantity.grouped(Int64(clamping: user.errors)),
        ]
        if !user.id.isEmpty { values["id"] = user.id }
        return values
    }

    func rows(of patterns: [PatternModel]) -> [String: Any] {
        let rows = patterns.map { pattern -> [String: Any] in
            [
                "fingerprint": pattern.fingerprint, "title": pattern.text ?? pattern.fingerprint,
                "database": pattern.database ?? "–", "cost": Quantity.short(pattern.costUnits),
                "share": Quantity.percent(pattern.share), "spark": Charts.spark(pattern.trend, label: "cost over time"),
                "calls": Quantity.short(Double(pattern.calls)), "time": Quantity.duration(seconds: pattern.seconds),
                "p50": Quantity.duration(seconds: pattern.p50), "p95": Quantity.duration(seconds: pattern.p95),
                "p99": Quantity.duration(seconds: pattern.p99),
                "errors": Quantity.grouped(pattern.errors),
            ]
        }
        return ["hasPatterns": !rows.isEmpty, "patterns": rows]
    }

    private func rows(of entries: [AuditModel]) -> [String: Any] {
        let rows = entries.map { entry -> [String: Any] in
            let details = entry.details.sorted { $0.key < $1.key }.filter { !$0.value.isEmpty }
                .map { "\($0.key) \($0.value)" }.joined(separator: " · ")
            var values: [String: Any] = [
                "time": String(entry.time.prefix(19)).replacing("T", with: " "), "event": entry.event,
                "actor": entry.actor, "details": details,
            ]
            if let user = entry.user { (values["user"], values["title"]) = (user, entry.name ?? user) }
            return values
        }
        return ["hasEntries": !rows.isEmpty, "entries": rows]
    }

    private func spans(_ span: SpanModel, _ path: String, _ query: String, _ values: inout [String: Any]) {
        values["span"] = "last \(span.name)"
        values["tabs"] = SpanModel.all.map { other -> [String: Any] in
            ["href": "\(path)?\(query)span=\(other.name)", "name": other.name, "isCurrent": other == span]
        }
    }

    private func cost(_ trend: [MinuteModel], _ span: SpanModel, _ until: Int64) -> String? {
        let from = (until - span.minutes) / span.step * span.step
        let picture = Charts.bars(
            trend.map { ($0.minute, $0.costUnits) },
            from: from,
            to: until,
            step: span.step,
            label: "Cost units over the last \(span.name)",
            unit: Quantity.short
        )
        return picture.isEmpty ? nil : picture
    }

    private func page(_ template: String, _ title: String, _ status: StatusModel, _ values: [String: Any]) -> String {
        let content = library.render(values, withTemplate: template) ?? ""
        let places = [
            ("now", "Now", "/"), ("users", "Users", "/users"), ("patterns", "Patterns", "/patterns"),
            ("limits", "Limits", "/limits"), ("audit", "Audit", "/audit"),
        ]
        let nav = places.map { name, title, href -> [String: Any] in
            ["name": title, "href": href, "isCurrent": template == name || template + "s" == name]
        }
        let ports = status.ports.map { String($0) }.joined(separator: ", ")
        let layout: [String: Any] = [
            "title": title, "nav": nav, "version": version, "content": content,
            "where": "watching \(status.sources.joined(separator: ", "))" + (ports.isEmpty ? "" : " (port \(ports))")
                + " since \(status.began.prefix(16).replacing("T", with: " "))",
        ]
        return library.render(layout, withTemplate: "layout") ?? ""
    }

    /// A report as one file that can be mailed: no script, nothing from elsewhere.
    public func report(_ report: ReportModel) -> String {
        func tile(_ name: String, _ value: String) -> [String: Any] { ["name": name, "value": value] }
        var values = rows(of: report.patterns)
        values.merge([
            "title": report.title, "where": report.span, "style": Stylesheet.text, "version": version,
            "time": report.time,
            "tiles": [
                tile("cost units", Quantity.short(report.costUnits)),
                tile("statements", Quantity.short(Double(report.calls))),
                tile("server time", Quantity.duration(seconds: report.seconds)),
                tile("failed", Quantity.short(Double(report.errors))),
                tile("rows", Quantity.short(Double(report.rows))),
                tile("from the server", Quantity.bytes(UInt64(clamping: report.bytes))),
            ],
            "hasRunners": !report.groups.isEmpty, "runners": report.groups.map { runner(of: $0) },
            "group": report.group, "groups": report.group + "s",
        ]) { first, _ in first }
        let picture = Charts.bars(
            report.trend.map { ($0.minute, $0.costUnits) },
            from: report.from,
            to: report.to,
            step: report.step,
            label: "Cost units over time",
            unit: Quantity.short
        )
        if !picture.isEmpty { values["chart"] = picture }
        return library.render(values, withTemplate: "report") ?? ""
    }
}

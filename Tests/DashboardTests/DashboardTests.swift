// SPDX-License-Identifier: Apache-2.0
import Dashboard
import Testing

struct DashboardTests {
    private static let evil = "<script>alert(1)</script>\"'&"

    private func user() -> UserModel {
        var user = UserModel()
        (user.id, user.name, user.tier, user.action) = ("00ff", Self.evil, Self.evil, Self.evil)
        (user.utilization, user.utilizationHigh, user.verdict) = (1.2, 9, "limited")
        user.budgets = [
            BudgetModel(
                window: Self.evil,
                budget: 1,
                used: 2,
                possible: .infinity,
                utilization: 2,
                utilizationHigh: .nan,
                resets: nil
            )
        ]
        user.enforcement = [
            EnforcementModel(backend: Self.evil, state: "failed", reason: Self.evil, connections: 1, observed: nil)
        ]
        user.override = Self.evil
        return user
    }

    private func pattern() -> PatternModel {
        var pattern = PatternModel()
        (pattern.fingerprint, pattern.text, pattern.database) = ("00aa", Self.evil, Self.evil)
        (pattern.trend, pattern.calls, pattern.seconds) = ([0, 1, .nan, 3], .max, 1e300)
        return pattern
    }

    @Test func `no page lets markup through, whatever names and texts are`() throws {
        let pages = try Dashboard(version: "1")
        var status = StatusModel()
        (status.problems, status.sources, status.users) = ([Self.evil], [Self.evil], 3)
        (status.verification, status.verifiedShare) = ([Self.evil], 0.5)
        status.minutes = [MinuteModel(minute: 29_000_000, calls: 1, costUnits: 5, seconds: 1, errors: 0)]
        let entry = AuditModel(
            time: "t",
            event: Self.evil,
            actor: "a",
            node: "n",
            user: "00ff",
            name: Self.evil,
            details: ["reason": Self.evil]
        )
        var report = ReportModel()
        (report.title, report.patterns, report.groups) = (Self.evil, [pattern()], [user()])
        let span = SpanModel.all[0]
        let all = [
            pages.now(status, users: [user()], patterns: [pattern()], span: "s"), pages.users(status, [user()]),
            pages.user(
                status,
                user(),
                patterns: [pattern()],
                trend: status.minutes,
                span: span,
                until: 29_000_001,
                audit: [entry]
            ),
            pages.patterns(status, [pattern()], count: 1, order: "cost", span: span),
            pages.pattern(status, pattern(), runners: [user()], trend: [], span: span, until: 1),
            pages.limits(status, [user()], lease: Self.evil), pages.audit(status, [entry]),
            pages.missing(status, title: Self.evil, text: Self.evil), pages.report(report),
        ]
        for page in all {
            #expect(!page.contains("<script>alert") && !page.contains("{{"), "\(page.prefix(400))")
            #expect(page.contains("&lt;script&gt;"))
            #expect(page.contains("<html lang=\"en\">") && page.hasSuffix("\n") || page.contains("</html>"))
            // The policy forbids styles in the markup; the mailed report has one sheet of its own.
            #expect(!page.contains("style=\""))
        }
    }

    @Test func `an empty daemon has pages too`() throws {
        let pages = try Dashboard(version: "1")
        let page = pages.now(StatusModel(), users: [], patterns: [], span: "since the start")
        #expect(page.contains("Nobody was active yet") && page.contains("None was seen"))
        #expect(pages.report(ReportModel()).contains("Nothing in this span"))
    }

    @Test func `files of the pages are there and no others`() {
        #expect(Dashboard.asset("/style.css")?.text.contains("prefers-color-scheme: dark") == true)
        #expect(Dashboard.asset("/page.js") != nil && Dashboard.asset("/icon.svg") != nil)
        #expect(Dashboard.asset("/../etc/passwd") == nil)
    }
}

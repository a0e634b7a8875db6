// SPDX-License-Identifier: Apache-2.0
import Analytics
import Dashboard
import Domain
public import FoundationEssentials
import Quotas
import Reports
import SQLiteStore
import Telemetry
import Web

/// What is served where: metrics, the pages, and the same as JSON under `/api/v1`.
struct Pages: Sendable {
    private let view: DaemonView
    private let models: ModelMaker
    private let dashboard: Dashboard
    private let pulse: Liveness

    init(_ view: DaemonView, _ pulse: Liveness) throws {
        (self.view, self.pulse) = (view, pulse)
        models = ModelMaker(view: view)
        dashboard = try Dashboard(version: Version.text)
    }

    func answer(_ request: WebRequest) -> WebResponse {
        if let asset = Dashboard.asset(request.path) { return WebResponse(Array(asset.text.utf8), type: asset.type) }
        let parts = request.path.split(separator: "/").map(String.init)
        if parts.first == "api" { return api(Array(parts.dropFirst()), request) }
        switch (parts.first ?? "", parts.count) {
        case ("-", 2) where parts[1] == "ready": return readiness()
        case ("metrics", 1):
            let form = MetricsText.Form(accept: request.accept)
            return WebResponse(view.metrics.render(form), type: form.contentType)
        case ("", 0): return .html(now())
        case ("users", 1): return .html(dashboard.users(models.status(), models.users(most: 500)))
        case ("users", 2): return user(parts[1], request)
        case ("patterns", 1): return patterns(request)
        case ("patterns", 2): return pattern(parts[1], request)
        case ("limits", 1): return .html(dashboard.limits(models.status(), models.limitedUsers(), lease: lease))
        case ("audit", 1): return .html(dashboard.audit(models.status(), models.audit(200)))
        default: return missing("There is no such page.")
        }
    }

    /// Ready while the workers turn; what is degraded is told, and no reason to send nobody here.
    private func readiness() -> WebResponse {
        let facts = view.now
        var lines = [pulse.isAlive ? "pgweir is ready." : "a worker hangs."]
        // Whoever asks needs no password here, so files, hosts and reasons are for the page and the local socket.
        if facts.reloadError != nil { lines.append("degraded: the last reload failed; see 'pgweir status'.") }
        let problems = facts.quotas?.problems.count ?? 0
        if problems > 0 { lines.append("degraded: quotas or limits have \(problems) problems; see 'pgweir status'.") }
        let files = facts.stateProblems.count
        if files > 0 { lines.append("degraded: \(files) files of the state have problems; see 'pgweir status'.") }
        return .text(lines.joined(separator: "\n"), status: pulse.isAlive ? 200 : 503)
    }

    // MARK: Pages

    private func now() -> String {
        let found = models.patterns(SpanModel.all[0], order: "cost", limit: 10)
        let hasHistory = found.patterns.contains { !$0.trend.isEmpty }
        let span = hasHistory ? "last hour" : "since the start"
        return dashboard.now(models.status(), users: models.users(most: 10), patterns: found.patterns, span: span)
    }

    private func user(_ id: String, _ request: WebRequest) -> WebResponse {
        guard let key = UserKey(id), let user = models.user(key) else {
            return missing("No user has this hash; 'pgweir quota show NAME' tells the hash of a name.")
        }
        let span = SpanModel.named(request.query["span"] ?? "24h")
        let html = dashboard.user(
            models.status(),
            user,
            patterns: models.patterns(span, order: "cost", limit: 20, user: id).patterns,
            trend: models.trend(span, user: id),
            span: span,
            until: HistoryService.minute() + 1,
            audit: models.audit(50, of: key)
        )
        return .html(html)
    }

    private func patterns(_ request: WebRequest) -> WebResponse {
        let (span, order) = (SpanModel.named(request.query["span"]), Self.order(request))
        let found = models.patterns(span, order: order, limit: 100)
        return .html(dashboard.patterns(models.status(), found.patterns, count: found.count, order: order, span: span))
    }

    private func pattern(_ text: String, _ request: WebRequest) -> WebResponse {
        let span = SpanModel.named(request.query["span"] ?? "24h")
        guard let fingerprint = Fingerprint(text), let model = models.pattern(fingerprint, span) else {
            return missing("No pattern with this fingerprint was seen in the last \(span.name).")
        }
        let html = dashboard.pattern(
            models.status(),
            model,
            runners: models.runners(of: fingerprint, span),
            trend: models.trend(span, pattern: fingerprint),
            span: span,
            until: HistoryService.minute() + 1
        )
        return .html(html)
    }

    private func missing(_ text: String) -> WebResponse {
        .html(dashboard.missing(models.status(), title: "Not found", text: text), status: 404)
    }

    private static func order(_ request: WebRequest) -> String {
        let order = request.query["sort"] ?? "cost"
        return HistoryQuestion.orders.contains(order) ? order : "cost"
    }

    private var lease: String {
        guard let limits = view.quotas?.wanted.limits else { return "" }
        return "they end at \(ModelMaker.time(limits.expires)) unless they are renewed"
    }

    // MARK: API

    private func api(_ parts: [String], _ request: WebRequest) -> WebResponse {
        guard parts.first == "v1" else { return Self.error("there is only /api/v1", 404) }
        let span = SpanModel.named(request.query["span"])
        let limit = min(1000, max(1, request.query["limit"].flatMap { Int($0) } ?? 100))
        switch (parts.count > 1 ? parts[1] : "", parts.count) {
        case ("status", 2): return Self.json(models.status())
        case ("users", 2): return Self.json(["users": models.users(most: limit)])
        case ("users", 3):
            guard let key = UserKey(parts[2]), let user = models.user(key) else {
                return Self.error("no user has this hash", 404)
            }
            return Self.json(user)
        case ("patterns", 2):
            return Self.json(["patterns": models.patterns(span, order: Self.order(request), limit: limit).patterns])
        case ("patterns", 3):
            guard let fingerprint = Fingerprint(parts[2]), let model = models.pattern(fingerprint, span) else {
                return Self.error("no such pattern in the last \(span.name)", 404)
            }
            return Self.json(model)
        case ("limits", 2): return Self.json(["limits": models.limitedUsers()])
        case ("audit", 2): return Self.json(["entries": models.audit(limit)])
        case ("trend", 2):
            let pattern = request.query["pattern"].flatMap { Fingerprint($0) }
            guard request.query["pattern"] == nil || pattern != nil else { return Self.error("no fingerprint", 400) }
            return Self.json(["steps": models.trend(span, user: request.query["user"], pattern: pattern)])
        default: return Self.error("there is no such thing; Documentation/openapi.yaml lists what there is", 404)
        }
    }

    private static func json(_ value: some Encodable) -> WebResponse {
        guard let data = try? JSONOutput.encoder.encode(value) else { return error("this cannot be written", 500) }
        return .json(Array(data) + [0x0A])
    }

    private static func error(_ text: String, _ status: Int) -> WebResponse {
        let data = (try? JSONOutput.encoder.encode(["error": text])) ?? Data()
        return .json(Array(data) + [0x0A], status: status)
    }
}

/// JSON of models: keys in order, with underscores.
public enum JSONOutput {
    /// An encoder with our conventions.
    public static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf",
            negativeInfinity: "-inf",
            nan: "nan"
        )
        return encoder
    }
}

// SPDX-License-Identifier: Apache-2.0
import Telemetry
import Web

/// What is served where.
struct Pages: Sendable {
    private let view: DaemonView

    init(_ view: DaemonView) { self.view = view }

    func answer(_ request: WebRequest) -> WebResponse {
        switch request.path {
        case "/metrics":
            let form = MetricsText.Form(accept: request.accept)
            return WebResponse(view.metrics.render(form), type: form.contentType)
        default: return .text("there is no such page", status: 404)
        }
    }
}

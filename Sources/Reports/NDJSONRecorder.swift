// SPDX-License-Identifier: Apache-2.0
import Domain
public import Metering
import Pipeline
import PostgresWire

/// Writes one JSON object a line for every statement, named after OpenTelemetry's database conventions where they have
/// a name; see `Documentation/report.md`.
///
/// Pattern text yes, literals never.
public struct NDJSONRecorder: StatementRecorder {
    /// Always active.
    public static let isActive = true
    private var json = JSONWriter()
    private let write: ([UInt8]) -> Void

    /// A recorder that hands whole lines to `write`.
    public init(write: @escaping ([UInt8]) -> Void) {
        self.write = write
    }

    /// Adds a line.
    public mutating func record(_ details: StatementDetails) {
        let event = details.event
        json.object { json in
            json.field("time", event.started.rfc3339)
            json.field("pgweir.session", details.session)
            json.field("client.address", Self.address(details.client))
            json.field("client.port", details.client.port)
            json.field("server.address", Self.address(details.server))
            json.field("server.port", details.server.port)
            json.field("db.system.name", "postgresql")
            json.field("db.namespace", details.database)
            json.field("pgweir.user", details.user)
            json.field("pgweir.application", details.application)
            json.field("pgweir.fingerprint", details.fingerprint.description)
            if details.text.isEmpty {
                json.field("db.query.text", nil as String?)
            } else {
                json.field("db.query.text", text: details.text)
            }
            json.field("pgweir.protocol", Self.name(event.wire))
            json.field("pgweir.outcome", Self.name(event.outcome))
            json.field("db.client.operation.duration", nanoseconds: event.duration)
            json.field("db.response.returned_rows", event.rows)
            json.field("pgweir.request.bytes", event.bytesSent)
            json.field("pgweir.response.bytes", event.bytesReceived)
            json.field("db.response.status_code", Self.code(event.errorCode))
            json.field("pgweir.cost_units", CostUnits(micro: event.outcome == .skipped ? 0 : event.price))
        }
        json.newline()
    }

    /// Hands the lines on.
    public mutating func flush() {
        guard !json.bytes.isEmpty else { return }
        write(json.bytes)
        json.removeAll()
    }

    private static func address(_ endpoint: Endpoint) -> String {
        let text = Endpoint(high: endpoint.high, low: endpoint.low, port: 0).description.dropLast(2)
        return text.first == "[" ? String(text.dropFirst().dropLast()) : String(text)
    }

    private static func name(_ wire: StatementProtocol) -> String {
        switch wire {
        case .simple: "simple"
        case .extended: "extended"
        case .functionCall: "function_call"
        }
    }

    private static func name(_ outcome: StatementOutcome) -> String {
        switch outcome {
        case .completed: "completed"
        case .failed: "failed"
        case .skipped: "skipped"
        case .uncertain: "uncertain"
        }
    }

    /// The SQLSTATE as text; `nil` when there is none.
    static func code(_ packed: UInt64) -> String? {
        guard packed != 0 else { return nil }
        let bytes = (0..<5).map { UInt8(truncatingIfNeeded: packed >> (32 - 8 * UInt64($0))) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

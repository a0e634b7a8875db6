// SPDX-License-Identifier: Apache-2.0

/// Metrics as Prometheus reads them: the text format 0.0.4, or OpenMetrics 1.0.
///
/// (Prometheus documentation, "Exposition formats"; OpenMetrics specification 1.0.) Made anew for each scrape from plain
/// numbers: there is no registry to keep in step.
public struct MetricsText: Sendable {
    /// The form of the text.
    public enum Form: Sendable {
        /// `text/plain; version=0.0.4`
        case text
        /// `application/openmetrics-text; version=1.0.0`
        case openMetrics

        /// What a scraper takes, by its Accept header.
        public init(accept: String?) {
            self = accept?.contains("application/openmetrics-text") == true ? .openMetrics : .text
        }

        /// For the Content-Type header.
        public var contentType: String {
            switch self {
            case .text: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    /// Labels of one series, in order.
    public typealias Labels = [(name: String, value: String)]

    private let form: Form
    private let limit: Int
    private var bytes: [UInt8] = []
    private var series = 0
    /// Series left out because of the cap.
    public private(set) var dropped: UInt64 = 0

    /// An empty text; at most `limit` series go into it.
    public init(_ form: Form, limit: Int = 10_000) {
        (self.form, self.limit) = (form, limit)
    }

    /// A counter; `name` without `_total`.
    public mutating func counter(_ name: String, _ help: String, _ value: some BinaryInteger) {
        counter(name, help, [([], Double(value))])
    }

    /// A counter of seconds, units or the like.
    public mutating func counter(_ name: String, _ help: String, _ value: Double) {
        counter(name, help, [([], value)])
    }

    /// A counter of several series.
    public mutating func counter(_ name: String, _ help: String, _ values: [(labels: Labels, value: Double)]) {
        head(form == .text ? name + "_total" : name, "counter", help)
        for entry in values { sample(name + "_total", entry.labels, entry.value) }
    }

    /// A gauge.
    public mutating func gauge(_ name: String, _ help: String, _ value: Double) { gauge(name, help, [([], value)]) }

    /// A gauge of several series.
    public mutating func gauge(_ name: String, _ help: String, _ values: [(labels: Labels, value: Double)]) {
        head(name, "gauge", help)
        for entry in values { sample(name, entry.labels, entry.value) }
    }

    /// A histogram: cumulative counts by upper bound, which rise; the last bound is infinity by itself.
    public mutating func histogram(
        _ name: String,
        _ help: String,
        _ buckets: [(bound: Double, count: UInt64)],
        count: UInt64,
        sum: Double
    ) {
        head(name, "histogram", help)
        for bucket in buckets {
            sample(name + "_bucket", [("le", Self.number(bucket.bound))], Double(bucket.count))
        }
        sample(name + "_bucket", [("le", "+Inf")], Double(count))
        sample(name + "_count", [], Double(count))
        sample(name + "_sum", [], sum)
    }

    /// The whole text, UTF-8.
    public consuming func finish() -> [UInt8] {
        counter("pgweir_metrics_series_dropped", "Series left out of this page because of the cap.", dropped)
        if form == .openMetrics { bytes += Array("# EOF\n".utf8) }
        return bytes
    }

    private mutating func head(_ name: String, _ type: String, _ help: String) {
        let text = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        bytes += Array("# HELP \(name) \(text)\n# TYPE \(name) \(type)\n".utf8)
    }

    private mutating func sample(_ name: String, _ labels: Labels, _ value: Double) {
        guard series < limit || name == "pgweir_metrics_series_dropped_total" else {
            dropped += 1
            return
        }
        series += 1
        bytes += name.utf8
        if !labels.isEmpty {
            bytes.append(UInt8(ascii: "{"))
            for (index, label) in labels.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes += label.name.utf8
                bytes += "=\"".utf8
                for byte in label.value.utf8 {
                    switch byte {
                    case UInt8(ascii: "\\"): bytes += "\\\\".utf8
                    case UInt8(ascii: "\""): bytes += "\\\"".utf8
                    case UInt8(ascii: "\n"): bytes += "\\n".utf8
                    default: bytes.append(byte)
                    }
                }
                bytes.append(UInt8(ascii: "\""))
            }
            bytes.append(UInt8(ascii: "}"))
        }
        bytes += " \(Self.number(value))\n".utf8
    }

    /// Whole numbers without a point, others as Swift prints them, which reads back as the same.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value == value.rounded(), abs(value) < 9e15 { return String(Int64(value)) }
        return "\(value)"
    }
}

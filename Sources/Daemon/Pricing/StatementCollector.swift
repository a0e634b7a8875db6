// SPDX-License-Identifier: Apache-2.0
import Costs
public import Domain
import Fingerprints
import Metering
import Pipeline
import PostgresClient
import Settings

/// Gathers statements from logs, captures and pg_stat_statements, one of each pattern and database.
public struct StatementCollector {
    private var byKey: [Fingerprint: PriceQuestion] = [:]
    private var normalizer: Box
    private let cluster: String
    private let database: String?
    private let hash: KeyedHash

    /// A normalizer in a box: a struct that is copied cannot hold it.
    private final class Box {
        var value: Normalizer
        init(_ hash: KeyedHash) { value = Normalizer(hash: hash) }
    }

    /// Gathers for a cluster; `database`: where statements ran that do not say so.
    public init(cluster: String, database: String?, hash: KeyedHash) {
        (self.cluster, self.database, self.hash) = (cluster, database, hash)
        normalizer = Box(hash)
    }

    /// What was gathered.
    var questions: [PriceQuestion] { Array(byKey.values) }

    private mutating func add(_ text: String, database: String, user: String?, calls: UInt64) {
        let bytes = Array(text.utf8)
        var start = 0
        while let sketch = normalizer.value.sketch(bytes.rawSpan, from: start) {
            start = max(start + 1, sketch.range.upperBound)
            let pattern = normalizer.value.patternText(bytes.rawSpan, sketch)
            let price = StoredPrice(
                sketch: sketch,
                pattern: pattern,
                cluster: cluster,
                database: database,
                hash: hash,
                at: .epoch
            )
            if byKey[price.key] != nil {
                byKey[price.key]?.calls &+= calls
                continue
            }
            var sample = PatternSample(text: Array(bytes[sketch.range]))
            sample.user = user
            byKey[price.key] = PriceQuestion(
                key: price.key,
                fingerprint: sketch.fingerprint,
                pattern: pattern,
                sample: sample,
                database: database,
                limit: sketch.limit,
                offset: sketch.offset,
                calls: calls
            )
        }
    }

    /// All that a server's pg_stat_statements holds.
    public mutating func readStatistics(_ parameters: String) throws {
        do throws(PostgresError) {
            let connection = try PostgresConnection(parameters, application: "pgweir warm", seconds: 5)
            let rows = try connection.rows(
                of: """
                    SELECT query, datname, rolname, calls FROM pg_stat_statements s
                    JOIN pg_database d ON d.oid = s.dbid LEFT JOIN pg_roles r ON r.oid = s.userid
                    WHERE query NOT LIKE '<insufficient privilege>%'
                    """,
                seconds: 30
            )
            for row in rows {
                add(
                    row["query"] ?? "",
                    database: row["datname"] ?? "",
                    user: row["rolname"],
                    calls: UInt64(row["calls"] ?? "") ?? 1
                )
            }
        } catch {
            Output.complain("--statements: \(error)")
            throw Sysexit.unavailable
        }
    }

    /// A server's log.
    public mutating func readLog(_ path: String) throws {
        let text: String
        do throws(SettingsError) {
            text = try TextFile.read(path, largest: 1 << 30, allowsPipes: true)
        } catch {
            Output.complain(error.description)
            throw Sysexit.noInput
        }
        for entry in PostgresLog.statements(text, isCSV: path.hasSuffix(".csv")) {
            add(entry.text, database: entry.database ?? database ?? "", user: entry.user, calls: 1)
        }
    }

    /// A capture, by the same stages as everything else.
    public mutating func readCapture(_ path: String) throws {
        var options = ReplayOptions(paths: [path])
        options.hash = hash
        options.pricing = PricingScheme(cluster: cluster, asTenant: false)
        let result = try Replay.run(options, onProgress: { _ in }, isCancelled: { Interrupt.isRequested })
        for question in result.questions {
            if byKey[question.key] == nil {
                byKey[question.key] = question
            } else {
                byKey[question.key]?.calls &+= question.calls
            }
        }
    }
}

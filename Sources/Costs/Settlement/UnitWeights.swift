// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What an execution is charged on top of its plan, for what the planner does not count: `Documentation/units.md`.
public struct UnitWeights: Sendable, BitwiseCopyable {
    /// Micro-units for a row that is returned.
    public var returned: Int64 = 10_000
    /// Micro-units for a KiB that is sent.
    public var kibibyte: Int64 = 250_000
    /// Micro-units for a row that is written.
    public var written: Int64 = 2_000_000

    /// Version 1: 0.01 a row (the planner's cpu_tuple_cost), 0.25 a KiB, 2 a row written.
    public init() {}

    /// Micro-units for one execution; `rows` as the command tag counts them.
    @inline(__always)
    public func extra(_ kind: StatementKind, rows: UInt64, bytes: UInt64) -> Int64 {
        let counted = Int64(clamping: min(rows, 1 << 40))
        let sent = Int64(clamping: min(bytes, 1 << 50))
        let isWriting: Bool
        switch kind {
        case .insert, .update, .delete, .merge: isWriting = true
        default: isWriting = false
        }
        return counted &* (isWriting ? written : returned) &+ sent / 1024 &* kibibyte
            &+ sent % 1024 &* kibibyte / 1024
    }
}

// SPDX-License-Identifier: Apache-2.0
import Domain

/// Tells apart what has one pattern's text but several plans.
struct PatternScope: BitwiseCopyable, Hashable {
    /// Index into the table of database names; 0: unknown.
    var database: Int32 = 0
    /// Index into the table of search paths; 0: that of the login.
    var path: UInt16 = 0
    /// Index into the table of roles where prices are each role's own; else 1 where row-level security is passed over.
    var role: Int32 = 0
    var limit = Decade.absent
    var offset = Decade.absent

    /// As one number: databases, roles and paths have 16 bits each, decades four.
    @inline(__always)
    var code: UInt64 {
        UInt64(UInt32(bitPattern: database)) | UInt64(UInt32(bitPattern: role)) &<< 16 | UInt64(path) &<< 32
            | UInt64(limit.rawValue) &<< 48 | UInt64(offset.rawValue) &<< 52
    }
}

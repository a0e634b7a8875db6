// SPDX-License-Identifier: Apache-2.0
public import Quotas

/// What one user used since the last time, over all databases and clients of one worker.
public struct UserUsage: Sendable {
    /// The login's name.
    public var user: String
    /// Usage by slots, in no order; a user may have several of these.
    public var slots: [SlotUsage]
}

// SPDX-License-Identifier: Apache-2.0

/// What one user used since the last time, over all databases and clients of one worker.
public struct UserUsage: Sendable, Hashable {
    /// The login's name.
    public var user: String
    /// Usage by slots, in no order; a user may have several of these.
    public var slots: [SlotUsage]
    /// Where it came from; `nil`: nobody asked for that.
    public var origin: Origin?

    /// Usage of a user.
    public init(user: String, slots: [SlotUsage], origin: Origin?) {
        (self.user, self.slots, self.origin) = (user, slots, origin)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Tells what becomes of files: for logs, status and metrics.
public struct FileReport: Sendable {
    /// What became of a file.
    public enum Event: Sendable, Equatable {
        /// It was moved to a path, for a reason, and a new one is made.
        case setAside(String, String)
        /// It cannot be used for now, for a reason: nothing is kept in it.
        case unusable(String)
        /// It was removed or replaced while it was open.
        case gone
        /// It is used, and cannot be replaced by an empty one as it should, for a reason: it grows.
        case overgrown(String)
        /// It is used again.
        case usable
    }

    private let take: @Sendable (Event, String) -> Void

    /// `take` is given each event and the path of the file; it may be called on any thread.
    public init(_ take: @escaping @Sendable (Event, String) -> Void) { self.take = take }

    /// Nobody is told.
    public static let none = FileReport { _, _ in }

    func note(_ event: Event, _ path: String) { take(event, path) }
}

// SPDX-License-Identifier: Apache-2.0

/// What time a budget is for.
public enum WindowKind: Sendable, Hashable {
    /// The calendar hour, day and month of the policy's time zone: all of it comes back when the next one begins.
    case hour, day, month
    /// The last so many seconds, at any time; from 60 s to 7 days.
    ///
    /// Kept in parts of a 60th, 10 s at least; a part that is only half inside counts as possible, not as proven.
    case sliding(seconds: Int64)
    /// A token bucket that holds the budget and is refilled evenly within so many seconds, from 60 s to 1 day.
    ///
    /// A user may spend all of it at once; beyond that it goes into debt, which the refill pays back. Debt beyond one
    /// bucket is forgiven at once, and all debt after two times the refill: so nobody waits longer than that.
    case burst(seconds: Int64)

    /// How fine usage is told, in seconds.
    public static let grain: Int64 = 10

    /// Whether all of the budget comes back at one moment.
    public var isCalendar: Bool {
        switch self {
        case .hour, .day, .month: true
        case .sliding, .burst: false
        }
    }

    /// The length of the parts in which its usage is kept; `nil`: it is kept as one.
    public var part: Int64? {
        switch self {
        case .hour, .day, .month: nil
        case .sliding(let seconds): Self.part(max(60, seconds))
        case .burst(let seconds): Self.part(max(60, seconds) * 2)
        }
    }

    /// How far back it looks, in seconds; 0 for calendar windows.
    public var horizon: Int64 {
        switch self {
        case .hour, .day, .month: 0
        case .sliding(let seconds): max(60, seconds)
        case .burst(let seconds): max(60, seconds) * 2
        }
    }

    private static func part(_ horizon: Int64) -> Int64 {
        let exact = (horizon + 59) / 60
        return max(1, (exact + grain - 1) / grain) * grain
    }

    /// The span, in seconds since the epoch, that usage at `seconds` is added up in.
    public func span(at seconds: Int64, _ zone: ZoneTable) -> (start: Int64, end: Int64) {
        switch self {
        case .hour:
            // An offset that is no whole hour moves the hour's beginning.
            let offset = zone.offset(at: seconds)
            let start = Self.floor(seconds + offset, 3600) - offset
            return (start, start + 3600)
        case .day:
            let date = Self.date(seconds, zone)
            let start = zone.moment(ofLocal: date.days * 86_400)
            return (start, max(seconds + 1, zone.moment(ofLocal: (date.days + 1) * 86_400)))
        case .month:
            let date = Self.date(seconds, zone)
            let start = zone.moment(ofLocal: date.firstOfMonth.days * 86_400)
            return (start, max(seconds + 1, zone.moment(ofLocal: date.firstOfNextMonth.days * 86_400)))
        case .sliding, .burst:
            let part = part ?? Self.grain
            let start = Self.floor(seconds, part)
            return (start, start + part)
        }
    }

    /// The beginnings of all spans that count at `seconds`, the oldest first.
    public func spans(at seconds: Int64, _ zone: ZoneTable) -> [Int64] {
        guard let part else { return [span(at: seconds, zone).start] }
        let last = Self.floor(seconds, part)
        let oldest = Self.floor(seconds - horizon + 1, part)
        return Array(stride(from: oldest, through: last, by: Int64.Stride(part)))
    }

    private static func date(_ seconds: Int64, _ zone: ZoneTable) -> CivilDate {
        CivilDate(days: floor(seconds + zone.offset(at: seconds), 86_400) / 86_400)
    }

    static func floor(_ value: Int64, _ step: Int64) -> Int64 {
        let rest = value % step
        return value - (rest < 0 ? rest + step : rest)
    }
}

extension WindowKind: CustomStringConvertible {
    /// Such as `h`, `d`, `m`, `s600` (sliding) or `b60` (burst): the same in every version, as stores keep it.
    public var description: String {
        switch self {
        case .hour: "h"
        case .day: "d"
        case .month: "m"
        case .sliding(let seconds): "s\(seconds)"
        case .burst(let seconds): "b\(seconds)"
        }
    }

    /// For people, such as `hour` or `sliding 10m`.
    public var title: String {
        switch self {
        case .hour: "hour"
        case .day: "day"
        case .month: "month"
        case .sliding(let seconds): "sliding \(Self.short(seconds))"
        case .burst(let seconds): "burst \(Self.short(seconds))"
        }
    }

    private static func short(_ seconds: Int64) -> String {
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] as [(String, Int64)]
        where seconds % length == 0 { return "\(seconds / length)\(unit)" }
        return "\(seconds)s"
    }
}

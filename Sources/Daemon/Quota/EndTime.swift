// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Such as `90s`, `30m`, `6h` or `7d`.
public struct Length: Sendable {
    /// How long, in seconds.
    public var seconds: Int64

    /// Reads a text; `nil`: it is none.
    public init?(argument: String) {
        guard let unit = argument.last, let factor = ["s": 1, "m": 60, "h": 3600, "d": 86_400][unit] as Int64?,
            let number = Int64(argument.dropLast()), number > 0, number <= 1_000_000
        else { return nil }
        seconds = number * factor
    }
}

/// A local time of day, today or tomorrow, or a date and a time.
public struct EndTime: Sendable {
    /// Seconds since the epoch.
    public var seconds: Int64

    /// Reads a text; `nil`: it is none.
    public init?(argument: String) {
        let halves = argument.split(whereSeparator: { $0 == "T" || $0 == " " })
        let clock = (halves.last ?? "").split(separator: ":").map { Int32($0) ?? -1 }
        guard (1...2).contains(halves.count), clock.count == 2, (0...23).contains(clock[0]),
            (0...59).contains(clock[1])
        else { return nil }
        let now = time(nil)
        var start = now
        var parts = unsafe tm()
        unsafe localtime_r(&start, &parts)
        if halves.count == 2 {
            let date = halves[0].split(separator: "-").map { Int32($0) ?? -1 }
            guard date.count == 3, (1970...9999).contains(date[0]), (1...12).contains(date[1]),
                (1...31).contains(date[2])
            else { return nil }
            unsafe (parts.tm_year, parts.tm_mon, parts.tm_mday) = (date[0] - 1900, date[1] - 1, date[2])
        }
        unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec, parts.tm_isdst) = (clock[0], clock[1], 0, -1)
        var found = unsafe mktime(&parts)
        if halves.count == 1, found <= now {
            unsafe (parts.tm_mday, parts.tm_isdst) = (parts.tm_mday + 1, -1)
            found = unsafe mktime(&parts)
        }
        seconds = Int64(found)
    }
}

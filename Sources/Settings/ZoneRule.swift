// SPDX-License-Identifier: Apache-2.0
import Quotas

/// When summer time begins and ends every year, as the end of a TZif file says it, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
///
/// POSIX.1-2017, Base Definitions 8.3, with the extension of RFC 8536 §3.3.1; of its forms only `Mm.w.d`, which is the
/// one that zone files use today for all but one zone.
struct ZoneRule {
    private struct Day {
        var month: Int, week: Int, weekday: Int
        /// Seconds after midnight, local time before the change.
        var time: Int64
    }

    private let standard: Int64, summer: Int64
    private let begins: Day, ends: Day

    /// Reads a rule; `nil` where there is no summer time, or in another form.
    init?(_ text: String) {
        let parts = text.split(separator: ",")
        guard parts.count == 3 else { return nil }
        var zone = Substring(parts[0])
        guard Self.skipName(&zone), let west = Self.time(&zone), Self.skipName(&zone) else { return nil }
        standard = -west
        if zone.isEmpty {
            summer = standard + 3600
        } else {
            guard let west = Self.time(&zone) else { return nil }
            summer = -west
        }
        guard let begins = Self.day(parts[1]), let ends = Self.day(parts[2]) else { return nil }
        (self.begins, self.ends) = (begins, ends)
    }

    /// The two changes of a year.
    func changes(in year: Int64) -> [ZoneTable.Change] {
        [
            ZoneTable.Change(from: Self.moment(begins, year) - standard, offset: summer),
            ZoneTable.Change(from: Self.moment(ends, year) - summer, offset: standard),
        ]
    }

    private static func moment(_ day: Day, _ year: Int64) -> Int64 {
        let first = ZoneTable.days(year: year, month: Int64(day.month))
        let next =
            day.month == 12
            ? ZoneTable.days(year: year + 1, month: 1) : ZoneTable.days(year: year, month: Int64(day.month) + 1)
        // 1970-01-01 was a Thursday.
        let weekday = ((first + 4) % 7 + 7) % 7
        var date = first + (Int64(day.weekday) - weekday + 7) % 7 + Int64(day.week - 1) * 7
        while date >= next { date -= 7 }
        return date * 86_400 + day.time
    }

    private static func day(_ text: Substring) -> Day? {
        let halves = text.split(separator: "/", maxSplits: 1)
        guard let date = halves.first, date.first == "M" else { return nil }
        let numbers = date.dropFirst().split(separator: ".").compactMap { Int($0) }
        guard numbers.count == 3, (1...12).contains(numbers[0]), (1...5).contains(numbers[1]),
            (0...6).contains(numbers[2])
        else { return nil }
        var time: Int64 = 7200
        if halves.count == 2 {
            var rest = halves[1]
            guard let given = Self.time(&rest), rest.isEmpty else { return nil }
            time = given
        }
        return Day(month: numbers[0], week: numbers[1], weekday: numbers[2], time: time)
    }

    private static func skipName(_ text: inout Substring) -> Bool {
        if text.first == "<" {
            guard let end = text.firstIndex(of: ">") else { return false }
            text = text[text.index(after: end)...]
            return true
        }
        let rest = text.drop { $0.isLetter }
        defer { text = rest }
        return rest.startIndex != text.startIndex
    }

    /// `[+-]hh[:mm[:ss]]`, in seconds.
    private static func time(_ text: inout Substring) -> Int64? {
        let isNegative = text.first == "-"
        if isNegative || text.first == "+" { text = text.dropFirst() }
        let digits = text.prefix { $0.isNumber || $0 == ":" }
        text = text[digits.endIndex...]
        let numbers = digits.split(separator: ":").map { Int64($0) }
        guard (1...3).contains(numbers.count), numbers.allSatisfy({ ($0 ?? 1000) < 168 }) else { return nil }
        var seconds: Int64 = 0
        for (number, unit) in zip(numbers, [3600, 60, 1] as [Int64]) { seconds += (number ?? 0) * unit }
        return isNegative ? -seconds : seconds
    }
}

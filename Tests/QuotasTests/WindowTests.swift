// SPDX-License-Identifier: Apache-2.0
import Domain
import Quotas
import TestKit
import Testing

struct WindowTests {
    /// Central European time in 2026: summer time from 29 March 01:00 UTC to 25 October 01:00 UTC.
    private static let berlin = ZoneTable(
        name: "Europe/Berlin",
        first: 3600,
        changes: [
            ZoneTable.Change(from: 1_774_746_000, offset: 7200), ZoneTable.Change(from: 1_792_890_000, offset: 3600),
        ]
    )
    /// 2026-03-29 00:00 in Berlin.
    private static let spring: Int64 = 1_774_738_800
    /// 2026-10-25 00:00 in Berlin.
    private static let autumn: Int64 = 1_792_879_200

    @Test func `a day has 23 hours when summer time begins, and 25 when it ends`() {
        let spring = WindowKind.day.span(at: Self.spring + 40_000, Self.berlin)
        #expect(spring == (Self.spring, Self.spring + 23 * 3600))
        let autumn = WindowKind.day.span(at: Self.autumn + 40_000, Self.berlin)
        #expect(autumn == (Self.autumn, Self.autumn + 25 * 3600))
    }

    @Test func `the hour that occurs twice is two windows, the one that is skipped is none`() {
        let first = WindowKind.hour.span(at: Self.autumn + 2 * 3600 + 1, Self.berlin)
        let second = WindowKind.hour.span(at: Self.autumn + 3 * 3600 + 1, Self.berlin)
        #expect(first.end == second.start && first.start == Self.autumn + 2 * 3600)
        #expect(WindowKind.hour.span(at: Self.spring + 2 * 3600, Self.berlin).start == Self.spring + 2 * 3600)
    }

    @Test func `months follow the calendar`() {
        // 2024-02-29 12:00 UTC
        let february = WindowKind.month.span(at: 1_709_208_000, .utc)
        #expect(february == (1_706_745_600, 1_709_251_200))
        let december = WindowKind.month.span(at: 1_798_675_200 - 1, .utc)
        #expect(december.end - december.start == 31 * 86_400)
        #expect(Self.berlin.offset(at: 0) == 3600)
    }

    @Test(arguments: [
        ZoneTable.utc, berlin, ZoneTable(name: "half", first: 19_800), ZoneTable(name: "west", first: -34_200),
    ])
    func `every second is in exactly one window of each kind, and windows meet`(zone: ZoneTable) {
        var random = SplitMix64(seed: 5)
        for kind in [
            WindowKind.hour, .day, .month, .sliding(seconds: 600), .sliding(seconds: 61), .burst(seconds: 300),
        ] {
            for _ in 0..<2000 {
                let time = Int64.random(in: 1_700_000_000...1_830_000_000, using: &random)
                let span = kind.span(at: time, zone)
                #expect(span.start <= time && time < span.end)
                #expect(kind.span(at: span.start, zone) == span)
                #expect(kind.span(at: span.end, zone).start == span.end)
                #expect(kind.span(at: span.end - 1, zone) == span)
            }
        }
    }

    @Test func `a sliding window looks back as far as it says`() {
        let kind = WindowKind.sliding(seconds: 600)
        #expect(kind.part == 10)
        let spans = kind.spans(at: 1000, .utc)
        #expect(spans.first == 400 && spans.last == 1000)
        #expect(kind.spans(at: 1009, .utc).first == 410)
        #expect(WindowKind.sliding(seconds: 3600).part == 60)
        #expect(WindowKind.sliding(seconds: 3601).part == 70)
    }

    @Test func `patterns of names`() {
        #expect(UserPattern("app_*").matches("app_17") && !UserPattern("app_*").matches("web_app_1"))
        #expect(UserPattern("*").matches("") && UserPattern("a?c").matches("abc") && !UserPattern("a?c").matches("ac"))
        #expect(UserPattern("*a*b").matches("xxaxxab") && !UserPattern("*a*b").matches("xxaxxabc"))
        #expect(UserPattern("ü*").matches("ünal"))
    }
}

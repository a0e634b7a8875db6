// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Pipeline

struct TapSourceTests {
    @Test func `the ring may gather packets for as long as it holds 10 Gbit a second, at most 50 ms`() {
        for mebibytes in [32, 40, 64, 512, 2047] as [Int32] {
            let pause = TapSource.pause(buffer: mebibytes << 20)
            #expect((20...50).contains(pause))
            #expect(Int64(pause) * 1_250_000 <= Int64(mebibytes) << 20)
        }
        #expect(TapSource.pause(buffer: 64 << 20) == 50)
    }

    @Test func `a small ring is watched all the time`() {
        for mebibytes in [1, 2, 16] as [Int32] { #expect(TapSource.pause(buffer: mebibytes << 20) == 0) }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization

/// How many connections within the limit the clients' addresses have, roughly: addresses share places.
///
/// Whoever has none has nothing to cancel. All event loops share it without a lock.
@safe final class ClientCounts: @unchecked Sendable {
    private let counts: UnsafeMutablePointer<Atomic<Int32>>
    private static let count = 4096

    init() {
        unsafe counts = .allocate(capacity: Self.count)
        for place in 0..<Self.count { unsafe (counts + place).initialize(to: Atomic(0)) }
    }

    deinit { unsafe counts.deallocate() }

    /// The place of an address, from 0 to 4095.
    static func place(of address: SocketAddress) -> UInt16 {
        let hash = (address.endpoint.high ^ address.endpoint.low &* 0x9E37_79B9_7F4A_7C15) &* 0xFF51_AFD7_ED55_8CCD
        return UInt16(truncatingIfNeeded: hash &>> 52)
    }

    /// One more, or one less, at a place.
    func add(_ change: Int32, at place: UInt16) {
        // In range by the remainder.
        unsafe counts[Int(place) % Self.count].wrappingAdd(change, ordering: .relaxed)
    }

    /// Whether there is one at a place.
    func hasAny(at place: UInt16) -> Bool { unsafe counts[Int(place) % Self.count].load(ordering: .relaxed) > 0 }
}

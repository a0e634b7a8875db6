// SPDX-License-Identifier: Apache-2.0

/// Decides what a worker leaves out while packets outrun it.
///
/// When the kernel's ring overflows, it drops packets of all flows alike, and hardly a statement of any is seen whole.
/// Response rows go first, where the source can leave them out: they are most of the bytes, and tell least. If that is not
/// enough, half of the flows go, by their hash, so that the other half is seen whole; each further rung of the ladder leaves
/// out half of what is left.
struct LoadShedder {
    /// Rungs; at the last one 1 flow of 16 is left.
    static let most = 4
    /// One for a source that may be able to leave out rows.
    init(canCutResponses: Bool = false) { self.canCutResponses = canCutResponses }

    /// How often it looks at the kernel's count of drops, ns.
    static let interval: Int64 = 250_000_000
    /// Intervals with drops, one after the other, after which it goes up a rung: a single one is a pause, not overload.
    static let patience = 2
    /// Intervals without drops and with less than half of the load that was too much, after which it goes down a rung.
    static let calm = 8
    /// Intervals without drops after which it does so whatever the load: what was too much once need not be always, but each
    /// attempt that fails costs statements.
    static let trial = 240

    private(set) var rung = 0
    /// Whether the beginnings of large responses are all that is kept of them.
    private(set) var cutsResponses = false
    /// Whether the source can do that.
    private var canCutResponses: Bool
    private var last: Int64 = 0
    private var drops: UInt64 = 0, load: UInt64 = 0
    /// The greatest load of an interval with drops since all was taken, a second.
    private var burden = 0.0
    /// Intervals one after the other: with drops, without, and without and with little load.
    private var bad = 0, clean = 0, light = 0
    /// Segments left out.
    private(set) var shed: UInt64 = 0

    /// Whether it is time to tell it the kernel's count of drops.
    func isDue(_ now: Int64) -> Bool { now &- last >= Self.interval }

    /// Takes the counts of drops and of what came, left out or not, at `now`, ns of a steady clock; returns whether something
    /// else is left out from now on.
    mutating func look(drops totalDrops: UInt64, load totalLoad: UInt64, at now: Int64) -> Bool {
        let isDropping = totalDrops > drops
        let rate = Double(totalLoad &- load) / Double(max(1, now &- last)) * 1e9
        (last, drops, load) = (now, totalDrops, totalLoad)
        if isDropping {
            // While all is taken, each series of drops begins anew: one that was short was a pause.
            let isNew = bad == 0 && rung == 0 && !cutsResponses
            burden = isNew ? rate : max(burden, rate)
            (bad, clean, light) = (bad + 1, 0, 0)
        } else {
            (bad, clean, light) = (0, clean + 1, rate <= burden / 2 ? light + 1 : 0)
        }
        if bad >= Self.patience, rung < Self.most {
            if canCutResponses, !cutsResponses { cutsResponses = true } else { rung += 1 }
            bad = 0
            return true
        }
        if light >= Self.calm || clean >= Self.trial, rung > 0 || cutsResponses {
            if rung > 0 { rung -= 1 } else { cutsResponses = false }
            (clean, light) = (0, 0)
            return true
        }
        return false
    }

    /// The source cannot leave out responses: flows go at once, and are the first from now on.
    mutating func cannotCutResponses() {
        (canCutResponses, cutsResponses) = (false, false)
        rung = min(rung + 1, Self.most)
    }

    /// Whether the flow with this hash is left out; counts it.
    @inline(__always)
    mutating func leavesOut(_ hash: UInt64) -> Bool {
        // Bits that neither the flow table nor the choice of the worker uses.
        guard rung > 0, (hash &>> 20) & ((1 &<< UInt64(truncatingIfNeeded: rung)) &- 1) != 0 else { return false }
        shed &+= 1
        return true
    }
}

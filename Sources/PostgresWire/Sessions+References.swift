// SPDX-License-Identifier: Apache-2.0
import Domain

/// Is told what sessions refer to.
public protocol ReferenceSink: ~Copyable {
    /// A session pays as this principal.
    mutating func isReferred(principal: PrincipalHandle)
    /// A statement that runs, was prepared or is bound has this pattern.
    mutating func isReferred(pattern: PatternHandle)
}

extension Sessions {
    /// Tells all that the session of a flow refers to, shared names of poolers left out; returns how many things that were.
    public mutating func tellReferences(at place: Int, to sink: inout some ReferenceSink & ~Copyable) -> Int {
        guard let session = table.occupant(at: place) else { return 1 }
        sink.isReferred(principal: session.value.principal)
        sink.isReferred(pattern: session.value.unnamedStatement)
        sink.isReferred(pattern: session.value.unnamedPortal.pattern)
        var count = 1
        var next = session.value.firstRequest
        while let request = linked(next) {
            sink.isReferred(pattern: request.value.pattern)
            sink.isReferred(pattern: request.value.previousPattern)
            next = request.value.next
            count += 1
        }
        for head in [session.value.statements, session.value.portals] {
            var entry = head
            while entry >= 0 {
                sink.isReferred(pattern: names[entry].portal.pattern)
                entry = names[entry].next
                count += 1
            }
        }
        return count
    }

    /// Patterns are gone: names that poolers share for them mean nothing any more.
    public mutating func forgetShared(where isGone: (PatternHandle) -> Bool) {
        if !shared.isEmpty { shared = shared.filter { !isGone($0.value.pattern) } }
    }
}

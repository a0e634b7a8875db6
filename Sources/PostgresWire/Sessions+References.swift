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
        tell(session.value.unnamedStatement, to: &sink)
        tell(session.value.unnamedPortal.statement, to: &sink)
        var count = 1
        var next = session.value.firstRequest
        while let request = linked(next) {
            tell(request.value.statement, to: &sink)
            next = request.value.next
            count += 1
        }
        for head in [session.value.statements, session.value.portals] {
            var entry = head
            while entry >= 0 {
                tell(names[entry].portal.statement, to: &sink)
                entry = names[entry].next
                count += 1
            }
        }
        return count
    }

    private func tell(_ statement: Prepared, to sink: inout some ReferenceSink & ~Copyable) {
        sink.isReferred(pattern: statement.pattern)
        sink.isReferred(pattern: statement.effect.pattern)
    }

    /// Patterns are gone: names that poolers share for them mean nothing any more.
    public mutating func forgetShared(where isGone: (PatternHandle) -> Bool) {
        if !shared.isEmpty { shared = shared.filter { !isGone($0.value.pattern) } }
    }
}

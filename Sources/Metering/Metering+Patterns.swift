// SPDX-License-Identifier: Apache-2.0
import Costs
public import Domain
public import PostgresWire

/// Text → pattern, told apart by where it runs and how it is priced.
extension Metering where Recorder: ~Copyable {
    /// The statement at or after byte `start` of `text`, or `nil` when there is none left.
    public mutating func sketch(_ text: RawSpan, from start: Int, backslashEscapes: Bool) -> StatementSketch? {
        patterns.sketch(text, from: start, backslashEscapes: backslashEscapes)
    }

    /// The pattern of a sketched statement; `path`: the session's search_path, as ``searchPath(_:for:)`` numbers it.
    public mutating func pattern(
        _ sketch: StatementSketch,
        of text: RawSpan,
        for principal: PrincipalHandle,
        under path: UInt16,
        at moment: Moment
    ) -> PatternHandle {
        guard prices.isPlanning else {
            let database = principals.slot(principal).value.databaseIndex
            // Without further parts a scope's code is its database.
            if let known = patterns.find(sketch.fingerprint, UInt64(UInt32(bitPattern: database))) { return known }
            return newPattern(sketch, text, PatternScope(database: database), principal, moment)
        }
        let payer = principals.slot(principal)
        var scope = PatternScope(database: payer.value.databaseIndex, role: payer.value.roleIndex)
        scope.path = path > 0 ? path : payer.value.path
        (scope.limit, scope.offset) = (sketch.limit, sketch.offset)
        if let known = patterns.find(sketch.fingerprint, scope.code) { return known }
        return newPattern(sketch, text, scope, principal, moment)
    }

    /// The same pattern where names mean what they do under this search_path.
    public mutating func pattern(
        _ pattern: PatternHandle,
        for principal: PrincipalHandle,
        under path: UInt16
    ) -> PatternHandle {
        guard prices.isPlanning, pattern > 0, !patterns.slot(pattern).value.isOther else { return pattern }
        var scope = patterns.slot(pattern).value.scope
        scope.path = path
        return self.pattern(pattern, in: scope, for: principal)
    }

    /// The same pattern in another scope.
    mutating func pattern(
        _ pattern: PatternHandle,
        in scope: PatternScope,
        for principal: PrincipalHandle
    ) -> PatternHandle {
        let record = patterns.slot(pattern)
        if let known = patterns.find(record.value.fingerprint, scope.code) { return known }
        let (fingerprint, text) = (record.value.fingerprint, patterns.text(of: pattern))
        let handle = addPattern(fingerprint, scope, text, firstSeen: record.value.firstSeen, for: principal)
        if takesSample(handle), let sample = samples[patterns.place(of: pattern)] {
            keep(sample, of: handle, scope, for: principal)
        }
        return handle
    }

    /// The pattern of a function that is called by its OID.
    public mutating func functionPattern(
        _ oid: UInt32,
        for principal: PrincipalHandle,
        at moment: Moment
    ) -> PatternHandle {
        let payer = principals.slot(principal)
        let scope = PatternScope(database: payer.value.databaseIndex, role: payer.value.roleIndex)
        let pattern = Fingerprint(high: hash.hash(UInt64(oid), 0x4650), low: hash.hash(0x4650, UInt64(oid)))
        if let known = patterns.find(pattern, scope.code) { return known }
        let text = Array("function call \(oid)".utf8)
        let handle = addPattern(pattern, scope, text, firstSeen: moment.ordinal, for: principal)
        if takesSample(handle) {
            samples.keep(PatternSample(text: text), of: patterns.place(of: handle), for: payer.value.owner)
        }
        return handle
    }

    /// A Parse message told types of parameters: OIDs of four bytes each.
    public mutating func parameterTypes(_ types: RawSpan, of pattern: PatternHandle) {
        if prices.isPlanning { samples.keep(types: types, of: patterns.place(of: pattern)) }
    }

    /// The number of a search_path that a principal's session takes, from 1; 0 stands for that of the login.
    public mutating func searchPath(_ value: RawSpan, for principal: PrincipalHandle) -> UInt16 {
        guard prices.isPlanning else { return 0 }
        return prices.requests?.number(ofPath: value, for: principals.slot(principal).value.owner) ?? 0
    }

    // MARK: New ones

    @inline(never)
    private mutating func newPattern(
        _ sketch: StatementSketch,
        _ text: RawSpan,
        _ scope: PatternScope,
        _ principal: PrincipalHandle,
        _ moment: Moment
    ) -> PatternHandle {
        if let known = patterns.findAnew(sketch.fingerprint, scope.code) {
            if prices.isPlanning, !samples.contains(patterns.place(of: known)) {
                keep(SampleStore.sample(sketch, of: text), of: known, scope, for: principal)
            }
            return known
        }
        let pattern = patterns.patternText(text, sketch)
        let handle = addPattern(sketch.fingerprint, scope, pattern, firstSeen: moment.ordinal, for: principal)
        // pg_catalog is searched first unless a search_path names it: then somebody's function may come before it.
        let path = prices.requests?.path(patterns.slot(handle).value.scope.path)
        let isFirst = path.map { !$0.contains("pg_catalog") } ?? true
        patterns.classify(handle, sketch.kind, pattern, isCatalogFirst: isFirst)
        if takesSample(handle) { keep(SampleStore.sample(sketch, of: text), of: handle, scope, for: principal) }
        return handle
    }

    /// Adds a pattern that was not found; where there is no room for it, the one that stands for its user's others.
    mutating func addPattern(
        _ fingerprint: Fingerprint,
        _ scope: PatternScope,
        _ text: [UInt8],
        firstSeen ordinal: UInt64,
        for principal: PrincipalHandle
    ) -> PatternHandle {
        let payer = principals.slot(principal)
        let database = principals.database(scope.database)
        return patterns.add(
            fingerprint,
            scope,
            key: prices.key(fingerprint, scope, user: payer.value.user, database: database),
            text: text,
            ordinal: ordinal,
            owner: payer.value.owner,
            principals.tenant(of: payer)
        )
    }

    /// Whether a pattern's first text is kept for pricing.
    private func takesSample(_ handle: PatternHandle) -> Bool {
        prices.isPlanning && handle > 0 && !patterns.slot(handle).value.isOther
    }

    /// Keeps a text as that of a principal's.
    private mutating func keep(
        _ sample: PatternSample,
        of pattern: PatternHandle,
        _ scope: PatternScope,
        for principal: PrincipalHandle
    ) {
        let payer = principals.slot(principal)
        var sample = sample
        sample.user = payer.value.user
        sample.searchPath = prices.requests?.path(scope.path)
        samples.keep(sample, of: patterns.place(of: pattern), for: payer.value.owner)
    }
}

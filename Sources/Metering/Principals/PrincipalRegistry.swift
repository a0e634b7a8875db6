// SPDX-License-Identifier: Apache-2.0
public import Domain
public import PostgresWire
import Quotas

/// Who pays: principals by their logins, each user with a share of the table.
public struct PrincipalRegistry: ~Copyable {
    /// Handle 0 is everybody who is not known.
    var table = SlotTable<Principal>(limit: 1 << 18, blank: Principal(), checksHandles: true)
    var shares: PrincipalShares
    var owners = Owners()
    var servers = ServerProof()
    /// Sessions that began before the capture, each with a principal of its own until it is known whose it is.
    ///
    /// `nil`: nobody is asked; such sessions are nobody's at once.
    var unknown: UnknownSessions?
    /// Principals of unknown sessions whose counts are their owners' by now.
    var moved: [PrincipalHandle: PrincipalHandle] = [:]
    /// Whether accounts keep what is used until it is taken.
    var isMetered = false
    var applications = ApplicationNames()
    /// Principals are told apart by the names of their applications, too.
    var tellsApplications = false
    var databases = NumberedNames(limit: PrincipalRegistry.mostNames)
    private var logins: [Fingerprint: KnownLogin] = [:]
    private var index: [Fingerprint: PrincipalHandle] = [:]
    private var names: [Fingerprint: String] = [:]
    private var isCrowded = false
    private let hash: KeyedHash

    /// What a login came to.
    struct KnownLogin {
        var principal: PrincipalHandle
        /// The number of the application's name.
        var application: Int32
        /// It was not there before.
        var isNew = false
    }

    /// More names of databases than this have one number, and more logins and names are not remembered.
    private static var mostNames: Int { 65_535 }

    init(limit: Int, hash: KeyedHash) {
        shares = PrincipalShares(limit: limit)
        self.hash = hash
        _ = table.include(0)
    }

    // MARK: What is there

    /// Places of principals are smaller than this.
    public var highWater: Int { table.highWater }
    /// How many principals there are.
    public var count: Int { table.count }
    /// The principal that stands at a place from 0, if it is in use; free places may be told as blank principals.
    public func handle(at place: Int) -> PrincipalHandle? { table.handle(at: place) }
    /// The same, as a slot.
    public func occupant(at place: Int) -> Slot<Principal>? { table.occupant(at: place) }
    /// Where a principal stands.
    public func place(of handle: PrincipalHandle) -> Int32 { table.place(of: handle) }
    /// A principal's record, in place.
    @inline(__always)
    func slot(_ handle: PrincipalHandle) -> Slot<Principal> { table.slot(handle) }
    /// A principal.
    public internal(set) subscript(handle: PrincipalHandle) -> Principal {
        @inline(__always)
        _read { yield table[handle] }
        @inline(__always)
        nonmutating _modify { yield &table[handle] }
    }

    /// Principals that were added up with others of their user, and users who were forgotten.
    public var evictions: UInt64 { shares.evictions }
    /// Users of whom nothing is left.
    public var forgotten: UInt64 { shares.forgotten }
    /// Whether room should be made.
    var wantsSweep: Bool { isCrowded || applications.wantsRoom }

    /// The hash of the name of a principal's user.
    func tenant(of payer: Slot<Principal>) -> Fingerprint { owners.key(of: payer.value.owner) }
    /// The name of a database by its number.
    public func database(_ number: Int32) -> String { databases[number] }

    /// What is taken of the budget.
    public func memory(_ limits: TableLimits) -> TableMemory {
        TableMemory("users", bytes: highWater * Self.bytesOfEntry, most: limits.principals * Self.bytesOfEntry)
    }
    /// Bytes of one principal with its names.
    public static var bytesOfEntry: Int { MemoryLayout<Principal>.stride + 256 }

    // MARK: Logins

    /// Who pays for a login that a server accepted on a connection.
    mutating func resolve(_ login: borrowing Login, on note: FlowNote) -> KnownLogin {
        // Pools log in over and over: the same login again costs no allocation.
        let (user, database) = (hash.hash(login.user), hash.hash(login.database))
        let application = hash.hash(login.application)
        let server = servers.tellsApart ? note.serverKey(hash) : 0
        let key = Fingerprint(
            high: hash.hash(user.high ^ database.low ^ server, note.client.high ^ application.low),
            low: hash.hash(user.low ^ note.client.low, database.high ^ application.high)
        )
        if let known = logins[key] { return known }
        let apart = tellsApplications ? hash.hash(server, application.high) : server
        let found = resolveAnew(login, user, database, apart, note)
        // It only saves work: what is found anew fills it again.
        if logins.count >= Self.mostNames { logins.removeAll() }
        logins[key] = KnownLogin(principal: found.principal, application: found.application)
        return found
    }

    private mutating func resolveAnew(
        _ login: borrowing Login,
        _ user: Fingerprint,
        _ database: Fingerprint,
        _ apart: UInt64,
        _ note: FlowNote
    ) -> KnownLogin {
        var result = KnownLogin(principal: 0, application: applicationNumber(login.application))
        let key = Fingerprint(
            high: hash.hash(user.high ^ database.low ^ apart, note.client.high),
            low: hash.hash(user.low ^ note.client.low, database.high)
        )
        if let known = known(key) {
            result.principal = known
            return result
        }
        let owner = owners.number(of: user)
        guard !shares.hasRoom(for: owner) else {
            result.principal = add(login, key, owner, note, isRest: false)
            result.isNew = result.principal > 0
            return result
        }
        // Somebody with very many addresses: those beyond are counted together.
        let rest = restKey(user, databases.number(of: name(login.database)), apart)
        if let known = known(rest) {
            result.principal = known
        } else if shares.hasReserve {
            result.principal = add(login, rest, owner, note, isRest: true)
            result.isNew = result.principal > 0
        } else {
            isCrowded = true
        }
        return result
    }

    /// What stands for all other addresses of a user in a database is found by this.
    private func restKey(_ user: Fingerprint, _ database: Int32, _ server: UInt64) -> Fingerprint {
        let place = UInt64(UInt32(bitPattern: database))
        return Fingerprint(
            high: hash.hash(user.high ^ server, place ^ 0x72_6573_7400_0000),
            low: hash.hash(place, user.low)
        )
    }

    /// A principal by its key; one that was to make room stays from now on.
    private mutating func known(_ key: Fingerprint) -> PrincipalHandle? {
        if let known = index[key] { return known }
        guard let spared = shares.spare(key, table) else { return nil }
        index[key] = spared
        return spared
    }

    private mutating func add(
        _ login: borrowing Login,
        _ key: Fingerprint,
        _ owner: Int32,
        _ note: FlowNote,
        isRest: Bool
    ) -> PrincipalHandle {
        guard let handle = table.take() else { return 0 }
        index[key] = handle
        shares.lists.append(table.place(of: handle), to: owner)
        if shares.isCrowded { isCrowded = true }
        let name = name(login.database)
        table[handle].user = self.name(login.user)
        table[handle].database = name
        if !isRest { table[handle].address = note.client }
        if servers.tellsApart { table[handle].server = note.server }
        if tellsApplications { table[handle].application = applicationName(login.application) }
        applyProof(to: handle)
        table[handle].databaseIndex = databases.number(of: name)
        table[handle].owner = owner
        table[handle].account.isMetered = isMetered
        (table[handle].key, table[handle].isRest) = (key, isRest)
        return handle
    }

    /// A name as a text of its own: one for all who bear it.
    private mutating func name(_ bytes: RawSpan) -> String {
        let key = hash.hash(bytes)
        if let known = names[key] { return known }
        let text = String(accountName: bytes)
        // It only saves room: those in use live on.
        if names.count >= Self.mostNames { names.removeAll() }
        names[key] = text
        return text
    }

    /// The number of an application's name.
    mutating func applicationNumber(_ bytes: RawSpan) -> Int32 { applications.number(of: applicationName(bytes)) }

    private mutating func applicationName(_ bytes: RawSpan) -> String {
        // PostgreSQL cuts it at 63 bytes.
        name(bytes.byteCount > 63 ? bytes.extracting(0..<63) : bytes)
    }

    // MARK: Proof

    /// These servers are proven; what was used at others, and is not in the ledger yet, is possible from now on.
    mutating func take(proven: NamedServers) {
        servers.proven = proven
        for place in 1..<max(1, table.highWater) { table.handle(at: place).map { applyProof(to: $0) } }
    }

    /// Whether what a principal uses is proven to be used.
    private func applyProof(to handle: PrincipalHandle) {
        guard let server = table[handle].server else { return }
        table[handle].isPossible = !servers.isProven(server)
    }

    /// A principal as reports show it.
    public func reported(_ handle: PrincipalHandle) -> Principal {
        var principal = table[handle]
        guard principal.isPossible else { return principal }
        principal.counts.costLow = min(0, principal.counts.costLow)
        principal.account.withdrawProof()
        return principal
    }

    // MARK: Making room

    /// Takes out of reach who should make room; false: nobody should.
    mutating func condemn() -> Bool {
        isCrowded = false
        let keys = shares.condemn(table)
        for key in keys { index[key] = nil }
        let hasNames = applications.condemn()
        return !keys.isEmpty || hasNames
    }

    /// From now on logins are resolved anew: what they came to may be gone.
    mutating func forgetLogins() { logins.removeAll() }

    /// Something refers to a principal: it stays, if it was condemned.
    mutating func spare(_ handle: PrincipalHandle) {
        guard handle > 0, table[handle].isCondemned else { return }
        _ = known(table[handle].key)
    }

    /// Room was made.
    mutating func endSweep() {
        applications.removeCondemned()
        isCrowded = shares.isCrowded
    }

    /// The principal that stands for all other addresses of the user of another one, in its database; 0: there is no room for it.
    mutating func rest(of handle: PrincipalHandle) -> PrincipalHandle {
        let other = table[handle]
        let server = other.server.map { hash.hash($0.high ^ UInt64($0.port), $0.low) } ?? 0
        let key = restKey(owners.key(of: other.owner), other.databaseIndex, server)
        if let known = known(key) { return known }
        guard let heir = table.take() else { return 0 }
        index[key] = heir
        table[heir].user = other.user
        table[heir].database = other.database
        (table[heir].server, table[heir].isPossible) = (other.server, other.isPossible)
        (table[heir].databaseIndex, table[heir].roleIndex) = (other.databaseIndex, other.roleIndex)
        table[heir].path = other.path
        (table[heir].key, table[heir].owner, table[heir].isRest) = (key, other.owner, true)
        table[heir].account.isMetered = isMetered
        shares.lists.append(table.place(of: heir), to: other.owner)
        return heir
    }

    /// What one principal counted is another's; it is blank at once, as reports walk over free slots too.
    func merge(_ handle: PrincipalHandle, into heir: PrincipalHandle) {
        table[heir].counts.add(table[handle].counts)
        table[heir].account.add(table[handle].account)
        table[handle] = Principal()
    }

    /// A principal without a login, for a session whose user is asked for; `nil`: there is no room for one.
    mutating func takeUnknown(_ flow: FlowHandle, since time: Timestamp) -> PrincipalHandle? {
        guard unknown?.hasRoom == true, let handle = table.take() else { return nil }
        unknown?.add(flow, handle, since: time)
        table[handle].account.isMetered = isMetered
        return handle
    }
}

// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgresWire
import Quotas

/// Login → principal: who pays for a session, and by which numbers names are known.
extension Books where Recorder: ~Copyable {
    mutating func attribute(_ flow: FlowHandle, _ login: borrowing Login, at moment: Moment) -> PrincipalHandle {
        let note = flows.contains(flow) ? flows[flow] : FlowNote()
        // Pools log in over and over: the same login again costs no allocation.
        let (user, database) = (hash.hash(login.user), hash.hash(login.database))
        let application = hash.hash(login.application)
        let server = isDivided ? hash.hash(note.server.high ^ UInt64(note.server.port), note.server.low) : 0
        let key = Fingerprint(
            high: hash.hash(user.high ^ database.low ^ server, note.client.high ^ application.low),
            low: hash.hash(user.low ^ note.client.low, database.high ^ application.high)
        )
        let known = knownLogins[key] ?? newLogin(login, user, database, server, note)
        if knownLogins.count < Self.mostNames { knownLogins[key] = known }
        if flows.contains(flow) { flows[flow].application = known.application }
        return known.principal
    }

    mutating func route(of flow: FlowHandle, _ principal: PrincipalHandle) -> UInt64 {
        guard flows.contains(flow) else { return 0 }
        let note = flows[flow]
        let server = hash.hash(note.server.high ^ UInt64(note.server.port), note.server.low)
        let database = UInt64(UInt32(bitPattern: principals[principal].databaseIndex))
        // A pooler's own address: that of the client it serves stands in the note.
        return hash.hash(note.peerHigh ^ server, note.peerLow ^ database)
    }

    mutating func serves(
        _ flow: FlowHandle,
        _ client: Endpoint,
        _ application: RawSpan,
        _ principal: PrincipalHandle,
        at moment: Moment
    ) -> PrincipalHandle {
        // Where nodes divide what they book by client, the packets' own word counts.
        guard !isDivided, flows.contains(flow), let user = principals[principal].user,
            let database = principals[principal].database
        else { return principal }
        let before = principals.count
        // Whoever may speak on a connection may say so: that must not fill the table for others.
        guard servedCount < Self.mostServed else { return principal }
        let own = flows[flow].client
        flows[flow].client = client
        let (userBytes, databaseBytes) = (Array(user.utf8), Array(database.utf8))
        let login = Login(user: userBytes.rawSpan, database: databaseBytes.rawSpan, application: application)
        let served = attribute(flow, login, at: moment)
        servedCount += principals.count - before
        guard served != 0 else {
            flows[flow].client = own
            return principal
        }
        return served
    }

    /// More principals than this are not made by poolers' words.
    private static var mostServed: Int { 1 << 14 }

    private mutating func newLogin(
        _ login: borrowing Login,
        _ user: Fingerprint,
        _ database: Fingerprint,
        _ server: UInt64,
        _ note: FlowNote
    ) -> KnownLogin {
        var result = KnownLogin(principal: 0, application: applicationNumber(login.application))
        let key = Fingerprint(
            high: hash.hash(user.high ^ database.low ^ server, note.client.high),
            low: hash.hash(user.low ^ note.client.low, database.high)
        )
        if let known = principalIndex[key] {
            result.principal = known
            return result
        }
        guard principals.count < Self.mostNames, let handle = principals.take() else { return result }
        result.principal = handle
        principalIndex[key] = handle
        let name = name(login.database)
        principals[handle].user = self.name(login.user)
        principals[handle].database = name
        principals[handle].address = note.client
        if isDivided { principals[handle].server = note.server }
        principals[handle].databaseIndex = databaseNumber(name)
        principals[handle].roleIndex = roleNumber(principals[handle].user ?? "")
        principals[handle].account.isMetered = isMetered
        return result
    }

    /// A name as a text of its own: one for all who bear it.
    private mutating func name(_ bytes: RawSpan) -> String {
        let key = hash.hash(bytes)
        if let known = names[key] { return known }
        let text = String(decoding: (0..<bytes.byteCount).map { bytes.byte(at: $0) }, as: UTF8.self)
        if names.count < Self.mostNames { names[key] = text }
        return text
    }

    private mutating func databaseNumber(_ name: String) -> Int32 {
        if let known = databaseIndex[name] { return known }
        databases.append(name)
        databaseIndex[name] = Int32(databases.count - 1)
        return Int32(databases.count - 1)
    }

    /// The class of a role for prices: its own number where they are each role's, else whether row-level security is passed
    /// over for it; 0 where nobody prices.
    mutating func roleNumber(_ name: String) -> Int32 {
        guard let pricing else { return 0 }
        guard pricing.asTenant else { return pricing.bypassing.contains(name) ? 1 : 0 }
        if let known = roleIndex[name] { return known }
        roleIndex[name] = Int32(roleIndex.count + 1)
        return Int32(roleIndex.count)
    }

    private mutating func applicationNumber(_ bytes: RawSpan) -> Int32 {
        let name = name(bytes)
        if let known = applicationIndex[name] { return known }
        guard applications.count < Self.mostNames else { return 0 }
        applications.append(name)
        applicationIndex[name] = Int32(applications.count - 1)
        return Int32(applications.count - 1)
    }
}

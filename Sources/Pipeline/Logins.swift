// SPDX-License-Identifier: Apache-2.0
import Costs
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
        let server = tellsServers ? hash.hash(note.server.high ^ UInt64(note.server.port), note.server.low) : 0
        let key = Fingerprint(
            high: hash.hash(user.high ^ database.low ^ server, note.client.high ^ application.low),
            low: hash.hash(user.low ^ note.client.low, database.high ^ application.high)
        )
        let known: KnownLogin
        if let found = knownLogins[key] {
            known = found
        } else {
            known = newLogin(login, user, database, server, note)
            // It only saves work: what is found anew fills it again.
            if knownLogins.count >= Self.mostNames { knownLogins.removeAll() }
            knownLogins[key] = known
        }
        if flows.contains(flow) { flows[flow].application = known.application }
        principals[known.principal].counts.logins &+= 1
        return known.principal
    }

    mutating func proxied(_ flow: FlowHandle, _ client: Endpoint) {
        // Where nodes divide what they book by client, the packets' own word counts.
        guard !isDivided, flows.contains(flow) else { return }
        flows[flow].client = client
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
        let own = flows[flow].client
        flows[flow].client = client
        let (userBytes, databaseBytes) = (user.accountNameBytes, database.accountNameBytes)
        let login = Login(user: userBytes.rawSpan, database: databaseBytes.rawSpan, application: application)
        let served = attribute(flow, login, at: moment)
        guard served != 0 else {
            flows[flow].client = own
            return principal
        }
        return served
    }

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
        if let known = knownPrincipal(key) {
            result.principal = known
            return result
        }
        let owner = owners.number(of: user)
        guard !principalShares.hasRoom(for: owner) else {
            result.principal = newPrincipal(login, key, owner, note, isRest: false)
            return result
        }
        // Somebody with very many addresses: those beyond are counted together.
        let rest = restKey(user, databaseNumber(name(login.database)), server)
        if let known = knownPrincipal(rest) {
            result.principal = known
        } else if principalShares.hasReserve {
            result.principal = newPrincipal(login, rest, owner, note, isRest: true)
        } else {
            wantsSweep = true
        }
        return result
    }

    /// What stands for all other addresses of a user in a database is found by this.
    func restKey(_ user: Fingerprint, _ database: Int32, _ server: UInt64) -> Fingerprint {
        let place = UInt64(UInt32(bitPattern: database))
        return Fingerprint(
            high: hash.hash(user.high ^ server, place ^ 0x72_6573_7400_0000),
            low: hash.hash(place, user.low)
        )
    }

    mutating func knownPrincipal(_ key: Fingerprint) -> PrincipalHandle? {
        if let known = principalIndex[key] { return known }
        guard let spared = principalShares.spare(key, principals) else { return nil }
        principalIndex[key] = spared
        return spared
    }

    private mutating func newPrincipal(
        _ login: borrowing Login,
        _ key: Fingerprint,
        _ owner: Int32,
        _ note: FlowNote,
        isRest: Bool
    ) -> PrincipalHandle {
        guard let handle = principals.take() else { return 0 }
        principalIndex[key] = handle
        principalShares.lists.append(principals.place(of: handle), to: owner)
        if principalShares.isCrowded { wantsSweep = true }
        let name = name(login.database)
        principals[handle].user = self.name(login.user)
        principals[handle].database = name
        if !isRest { principals[handle].address = note.client }
        if tellsServers { principals[handle].server = note.server }
        applyProof(to: handle)
        principals[handle].databaseIndex = databaseNumber(name)
        principals[handle].owner = owner
        applyRole(of: handle)
        principals[handle].account.isMetered = isMetered
        (principals[handle].key, principals[handle].isRest) = (key, isRest)
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

    private mutating func databaseNumber(_ name: String) -> Int32 {
        if let known = databaseIndex[name] { return known }
        guard databases.count < Self.mostNames else { return 0 }
        databases.append(name)
        databaseIndex[name] = Int32(databases.count - 1)
        return Int32(databases.count - 1)
    }

    /// A principal's class of role, and the search_path that its logins begin with.
    mutating func applyRole(of handle: PrincipalHandle) {
        guard pricing != nil, let user = principals[handle].user else { return }
        principals[handle].roleIndex = roleNumber(user)
        // Where prices are asked as the tenant, its own login has that path.
        guard pricing?.asTenant == false else { return }
        let path = pricing?.roles.path(of: user, in: principals[handle].database ?? "")
        guard let bytes = path.map({ Array($0.utf8) }), !bytes.isEmpty else {
            principals[handle].path = 0
            return
        }
        principals[handle].path = pricing?.number(ofPath: bytes.rawSpan, for: principals[handle].owner) ?? 0
    }

    /// The class of a role for prices: its own number where they are each role's, else whether row-level security is passed
    /// over for it; 0 where nobody prices.
    mutating func roleNumber(_ name: String) -> Int32 {
        guard let pricing else { return 0 }
        guard pricing.asTenant else { return pricing.roles.bypassing.contains(name) ? 1 : 0 }
        if let known = roleIndex[name] { return known }
        guard roleIndex.count < Self.mostNames else { return 0 }
        roleIndex[name] = Int32(roleIndex.count + 1)
        return Int32(roleIndex.count)
    }

    private mutating func applicationNumber(_ bytes: RawSpan) -> Int32 {
        // PostgreSQL cuts it at 63 bytes.
        let name = name(bytes.byteCount > 63 ? bytes.extracting(0..<63) : bytes)
        if let known = applicationIndex[name] { return known }
        guard let number = freeApplications.popLast() ?? newApplication() else {
            wantsSweep = true
            return 0
        }
        applications[Int(number)] = name
        applicationIndex[name] = number
        if freeApplications.isEmpty, applications.count >= Self.mostApplications { wantsSweep = true }
        return number
    }

    private mutating func newApplication() -> Int32? {
        guard applications.count < Self.mostApplications else { return nil }
        applications.append("")
        return Int32(applications.count - 1)
    }
}

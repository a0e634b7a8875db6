// SPDX-License-Identifier: Apache-2.0
import Domain
import Metering
import Packets
import PostgresWire

extension Shard where Recorder: ~Copyable {
    /// Takes an answer; one for a session that ended or began anew meanwhile is void.
    mutating func settle(_ resolution: SessionResolution, at moment: Moment) {
        let flow = resolution.session.flow
        guard reassembler.isOpen(flow), analyser.metering.flows.contains(flow),
            analyser.metering.flows[flow].session == resolution.session.number
        else { return }
        guard let identity = resolution.identity else { return giveUp(flow) }
        let (user, database) = (Array(identity.user.utf8), Array(identity.database.utf8))
        let application = Array(identity.application.utf8)
        let login = Login(user: user.rawSpan, database: database.rawSpan, application: application.rawSpan)
        let owner = analyser.metering.attribute(flow, login, at: moment)
        guard analyser.sessions.attribute(flow, to: owner) else { return }
        analyser.metering.moveUnknown(flow, to: owner)
    }

    private mutating func giveUp(_ flow: FlowHandle) {
        guard analyser.sessions.attribute(flow, to: 0) else { return }
        analyser.metering.moveUnknown(flow, to: 0)
    }
}

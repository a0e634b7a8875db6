// SPDX-License-Identifier: Apache-2.0
public import Domain
import PostgresWire

/// What is known of each open connection, by its flow.
public struct FlowNotes: ~Copyable {
    private var notes: SlotTable<FlowNote>
    /// Connections that carried something, with servers that were not named: nothing of them is read, and nobody pays for them.
    public private(set) var otherServers: UInt64 = 0
    /// The ports of the servers of all connections.
    public private(set) var ports = PortCensus()

    init(limit: Int) { notes = SlotTable(limit: limit, blank: FlowNote(), checksHandles: true) }

    /// Places of notes are smaller than this.
    public var highWater: Int { notes.highWater }
    /// The note that stands at a place from 0.
    public func occupant(at place: Int) -> Slot<FlowNote>? { notes.occupant(at: place) }
    /// Whether there is one of a flow.
    @inline(__always)
    public func contains(_ flow: FlowHandle) -> Bool { notes.contains(flow) }
    /// The note of a flow.
    public internal(set) subscript(flow: FlowHandle) -> FlowNote {
        @inline(__always)
        _read { yield notes[flow] }
        @inline(__always)
        nonmutating _modify { yield &notes[flow] }
    }
    /// The note of a flow, an empty one where there is none.
    func note(of flow: FlowHandle) -> FlowNote { notes.contains(flow) ? notes[flow] : FlowNote() }

    /// Bytes of one note.
    public static var bytesOfEntry: Int { MemoryLayout<FlowNote>.stride }
    /// Bytes of all of them.
    public var bytes: Int { notes.highWater * Self.bytesOfEntry }

    /// A connection was opened, or is seen for the first time.
    mutating func open(_ flow: FlowHandle, client: Endpoint, server: Endpoint, at moment: Moment) {
        guard notes.include(flow) else { return }
        notes[flow] = FlowNote(client: client, server: server, session: moment.ordinal)
        ports.note(server.port)
    }

    /// This connection is one with a server that was not named.
    mutating func setApart(_ flow: FlowHandle) {
        if notes.contains(flow) { notes[flow].isSetApart = true }
    }

    /// Nothing more of a connection is of interest; counted now, as a scan that carried nothing is no session.
    @inline(never)
    mutating func drop(_ flow: FlowHandle) {
        guard notes.contains(flow), notes[flow].isSetApart else { return }
        notes[flow].isSetApart = false
        otherServers &+= 1
    }
}

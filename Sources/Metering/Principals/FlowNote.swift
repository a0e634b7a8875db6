// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a flow needs to be known by in reports.
///
/// There may be a million: 80 bytes.
public struct FlowNote: BitwiseCopyable {
    private var clientHigh: UInt64 = 0, clientLow: UInt64 = 0
    private var serverHigh: UInt64 = 0, serverLow: UInt64 = 0
    /// The address at the other end of the connection: the client's own, or that of a pooler that speaks for it.
    private(set) var peerHigh: UInt64 = 0, peerLow: UInt64 = 0
    /// The session's number, that of its first packet.
    public private(set) var session: UInt64 = 0
    private var clientPort: UInt16 = 0, serverPort: UInt16 = 0
    /// Its server is not one that was named, and that is not counted yet.
    var isSetApart = false
    /// The number of the application's name.
    public internal(set) var application: Int32 = 0
    /// When its explicit transaction began, ns since the epoch; `.min`: there is none.
    var transaction = Int64.min
    /// In which database, by the index of its name: who began it may be gone when it ends.
    var database: Int32 = 0

    init() {}

    init(client: Endpoint, server: Endpoint, session: UInt64) {
        (peerHigh, peerLow) = (client.high, client.low)
        (serverHigh, serverLow, serverPort) = (server.high, server.low, server.port)
        self.session = session
        self.client = client
    }

    /// Who asks.
    public internal(set) var client: Endpoint {
        get { Endpoint(high: clientHigh, low: clientLow, port: clientPort) }
        set { (clientHigh, clientLow, clientPort) = (newValue.high, newValue.low, newValue.port) }
    }

    /// The server's address as a number.
    func serverKey(_ hash: KeyedHash) -> UInt64 { hash.hash(serverHigh ^ UInt64(serverPort), serverLow) }

    /// Who is asked.
    public var server: Endpoint { Endpoint(high: serverHigh, low: serverLow, port: serverPort) }
}

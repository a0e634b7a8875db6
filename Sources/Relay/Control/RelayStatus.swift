// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// What a relay tells of itself.
struct RelayStatus {
    var isDraining = false
    var isReady = true
    var isAttached = false
    var attachments = 0
    var listen: [String] = []

    /// One JSON object; names come from options, whose characters need no escape.
    func json(_ board: RelayBoard) -> String {
        let sum = { (field: (WorkerBoard) -> UInt64) in board.workers.reduce(UInt64(0)) { $0 &+ field($1) } }
        let list = { (texts: [String]) in "[" + texts.map { "\"\($0)\"" }.joined(separator: ",") + "]" }
        let connections = [
            "\"open\":\(board.open.load(ordering: .relaxed))",
            "\"most\":\(board.most)",
            "\"accepted\":\(sum { $0.accepted.load(ordering: .relaxed) })",
            "\"refused\":\(sum { $0.refused.load(ordering: .relaxed) })",
            "\"failed\":\(sum { $0.failed.load(ordering: .relaxed) })",
            "\"reset\":\(sum { $0.reset.load(ordering: .relaxed) })",
            "\"cut\":\(sum { $0.cut.load(ordering: .relaxed) })",
            "\"out_of_files\":\(sum { $0.exhausted.load(ordering: .relaxed) })",
        ]
        let upstreams = board.upstreams.all.map { state in
            "{\"name\":\"\(state.name)\",\"addresses\":\(list(state.addresses.map(\.text))),\"healthy\":\(state.isHealthy)}"
        }
        let fields = [
            "\"process\":\(getpid())",
            "\"state\":\"\(isDraining ? "draining" : "serving")\"",
            "\"ready\":\(isReady)",
            "\"listen\":\(list(listen))",
            "\"workers\":\(board.workers.count)",
            "\"connections\":{\(connections.joined(separator: ","))}",
            "\"bytes\":{\"to_server\":\(sum { $0.toServer.load(ordering: .relaxed) }),"
                + "\"to_client\":\(sum { $0.toClient.load(ordering: .relaxed) })}",
            "\"analyser\":{\"attached\":\(isAttached),\"attachments\":\(attachments)}",
            "\"ring\":{\"bytes\":\(board.options.ringBytes),\"copied_bytes\":\(sum { $0.copied.load(ordering: .relaxed) }),"
                + "\"dropped_bytes\":\(sum { $0.droppedBytes.load(ordering: .relaxed) }),"
                + "\"unread_bytes\":\(sum { $0.unread.load(ordering: .relaxed) }),"
                + "\"dropped_records\":\(sum { $0.droppedRecords.load(ordering: .relaxed) })}",
            "\"upstreams\":[\(upstreams.joined(separator: ","))]",
        ]
        return "{" + fields.joined(separator: ",") + "}"
    }
}

// SPDX-License-Identifier: Apache-2.0
import RedisClient
import Synchronization

/// Keys of ours that hold a value of another type (`WRONGTYPE`): nobody of us wrote that, so nothing of ours is lost.
///
/// They are deleted, and what was asked is asked again, so that one such key stops nothing but itself.
final class KeyRepairs: Sendable {
    private let count = Atomic<Int>(0)

    /// For people; empty: there were none.
    var text: String {
        let count = count.load(ordering: .relaxed)
        return count == 0 ? "" : ", \(count) keys of a wrong type deleted"
    }

    fileprivate func note(_ keys: Int) { count.add(keys, ordering: .relaxed) }
}

extension RedisRefusal {
    /// Whether the key holds another type than the command is for; scripts say so in the middle of their own error.
    fileprivate var isWrongType: Bool { kind == .wrongType || message.contains("WRONGTYPE") }
}

extension RedisClient {
    /// The replies to all of `commands`, or the first failure; keys of a wrong type are deleted and the commands on them
    /// repeated, in order, once.
    func call(
        _ commands: [RedisCommand],
        repairs: KeyRepairs,
        seconds: Double
    ) throws(RedisError) -> [RedisReply] {
        var results = try call(commands, seconds: seconds)
        let wrong = results.indices.filter { index in
            if case .failure(.refused(let refusal, _)) = results[index] { return refusal.isWrongType }
            return false
        }
        if !wrong.isEmpty {
            let keys = Set(wrong.flatMap { commands[$0].keys })
            _ = try call(keys.map { RedisCommand([Array("DEL".utf8), $0]) }, seconds: seconds)
            repairs.note(keys.count)
            // What was done on these keys before is gone with them: all commands on them are repeated.
            let again = commands.indices.filter { !keys.isDisjoint(with: commands[$0].keys) }
            for (index, result) in zip(again, try call(again.map { commands[$0] }, seconds: seconds)) {
                results[index] = result
            }
        }
        var replies: [RedisReply] = []
        replies.reserveCapacity(results.count)
        for result in results { replies.append(try result.get()) }
        return replies
    }
}

extension RedisCommand {
    /// The arguments that are keys.
    fileprivate var keys: [[UInt8]] {
        ((key.map { [$0] } ?? []) + moreKeys).filter { arguments.indices.contains($0) }.map { arguments[$0] }
    }
}

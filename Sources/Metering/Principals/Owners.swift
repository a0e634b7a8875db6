// SPDX-License-Identifier: Apache-2.0
import Domain

/// Numbers for the users whose shares of tables are told apart; 0 stands for nobody who is known.
struct Owners {
    private var index: [Fingerprint: Int32] = [:]
    private var keys = [Fingerprint.unknown]
    private var free: [Int32] = []

    /// How many there are.
    var count: Int { index.count }

    /// The number of a user, by the hash of the name.
    mutating func number(of key: Fingerprint) -> Int32 {
        if let known = index[key] { return known }
        let number: Int32
        if let old = free.popLast() {
            number = old
            keys[Int(number)] = key
        } else {
            number = Int32(clamping: keys.count)
            keys.append(key)
        }
        index[key] = number
        return number
    }

    /// The hash of a user's name.
    func key(of owner: Int32) -> Fingerprint { keys.indices.contains(Int(owner)) ? keys[Int(owner)] : .unknown }

    /// Nothing is held by this user any more: the number may be another's.
    mutating func forget(_ owner: Int32) {
        guard owner > 0, keys.indices.contains(Int(owner)) else { return }
        guard index.removeValue(forKey: keys[Int(owner)]) != nil else { return }
        keys[Int(owner)] = .unknown
        free.append(owner)
    }
}

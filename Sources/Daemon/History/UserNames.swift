// SPDX-License-Identifier: Apache-2.0
import Control

/// Names of users, as the running daemon knows them; without one, users stay hashes.
public struct UserNames {
    private let names: [String: String]

    /// Asks the daemon at this socket; where none answers, no name is known.
    public init(socket: String) {
        var names: [String: String] = [:]
        if let answer = try? ControlClient.ask(ControlRequest("names"), at: socket) {
            for line in String(decoding: answer, as: UTF8.self).split(separator: "\n") {
                let halves = line.split(separator: "\t", maxSplits: 1)
                if halves.count == 2 { names[String(halves[0])] = String(halves[1]) }
            }
        }
        self.names = names
    }

    func name(of id: String) -> String? { names[id] }

    /// The hash of a name; what is no name that is known is taken for a hash.
    func id(of text: String) -> String { names.first { $0.value == text }?.key ?? text }
}

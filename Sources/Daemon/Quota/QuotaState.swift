// SPDX-License-Identifier: Apache-2.0
import Glibc
import SQLiteStore
import Settings

/// What a node keeps of itself beside the ledger.
enum QuotaState {
    /// The node's name: made once.
    static func node(in folder: String) -> String? {
        kept(folder + "/node", isName) { String(UInt64.random(in: .min ... .max), radix: 16) }
    }

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }
    }

    /// The key of users' hashes, where the configuration has none: made once, readable by its owner alone.
    static func secret(in folder: String) -> [UInt8]? {
        let text = kept(folder + "/secret", isSecret) {
            UserHasher.newSecret().map { String(Int($0) | 0x100, radix: 16).dropFirst() }.joined()
        }
        return text.map { Array($0.utf8) }
    }

    private static func isSecret(_ text: String) -> Bool {
        (32...256).contains(text.utf8.count) && text.allSatisfy(\.isHexDigit)
    }

    /// The text in a file; made where there is none, and where what is there cannot be right.
    private static func kept(_ path: String, _ isRight: (String) -> Bool, _ make: () -> String) -> String? {
        if let text = read(path), isRight(text) { return text }
        if SetAside.look(at: path) != .free {
            guard let target = SetAside.move(path) else {
                StateHealth.note(.unusable("it is damaged and cannot be set aside"), path)
                return nil
            }
            StateHealth.note(.setAside(target, "its text is not what was written"), path)
        }
        let made = make()
        do throws(SettingsError) {
            try TextFile.make(path, made)
        } catch {
            StateHealth.note(.unusable(error.message), path)
            return nil
        }
        // Another process may have been first.
        guard let text = read(path), isRight(text) else { return nil }
        return text
    }

    private static func read(_ path: String) -> String? {
        guard let text = try? TextFile.read(path, largest: 4096) else { return nil }
        return text.last == "\n" ? String(text.dropLast()) : text
    }
}

// SPDX-License-Identifier: Apache-2.0

extension IncludeFile {
    /// What could be read of a file, and what is wrong with it: nothing, if we wrote it and nobody else did.
    public struct Reading: Sendable {
        /// As much as could be read.
        public var file = IncludeFile()
        /// What is wrong, each with its line; a few of them.
        public var damage: [String] = []
        /// Whether there is nothing in it, which is as good as no limits.
        public var isBlank = false
    }

    /// Reads a file, whatever its bytes; it may be cut off, edited by hand, or something else altogether.
    public static func parse(_ bytes: [UInt8]) -> Reading {
        var parser = Parser()
        parser.reading.isBlank = bytes.allSatisfy { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        guard !parser.reading.isBlank else { return parser.reading }
        for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            parser.take(String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self))
        }
        if !parser.hasLease { parser.complain("there is no lease in the first line") }
        if !parser.isComplete { parser.complain("the end is missing") }
        return parser.reading
    }

    private struct Parser {
        var reading = Reading()
        var hasLease = false, isComplete = false
        private var number = 0
        private var section = ""
        /// The comment above a user's line: the line that releases the user, or that it is one that does.
        private var above: Above?

        private enum Above {
            case released
            case release(name: String, settings: UserSettings)
        }

        mutating func complain(_ what: String) {
            if reading.damage.count < 10 { reading.damage.append("line \(number): \(what)") }
        }

        mutating func take(_ line: String) {
            number += 1
            if number == 1, takeLease(line) { return }
            guard let first = line.first else { return }
            if isComplete { complain("something follows the end") }
            switch first {
            case ";": takeComment(line)
            case "[":
                section = line
                if line != "[users]", line != "[databases]" { complain("a section that is not ours") }
            default: section == "[databases]" ? takeTrailer(line) : takeUser(line)
            }
        }

        private mutating func takeLease(_ line: String) -> Bool {
            let words = line.split(separator: " ")
            guard words.count == 5, words[0] == ";", words[1] == "lease", words[4] == "by=pgweir",
                words[2].hasPrefix("gen="), words[3].hasPrefix("expires="),
                let generation = UInt64(words[2].dropFirst(4)), let expires = Int64(words[3].dropFirst(8))
            else { return false }
            (reading.file.generation, reading.file.expires, hasLease) = (generation, expires, true)
            return true
        }

        private mutating func takeComment(_ line: String) {
            if line == "; released" {
                above = .released
            } else if line.hasPrefix("; release "), let (name, rest) = UserName.read(line.dropFirst(10)) {
                guard let settings = UserSettings(rest) else { return complain("a release that makes no sense") }
                above = .release(name: name, settings: settings)
            }
        }

        private mutating func takeUser(_ line: String) {
            defer { above = nil }
            // Without any section it may be the rest of a file that lost its head: whom it names is to be released.
            guard section == "[users]" || section.isEmpty, let (name, rest) = UserName.read(line[...]),
                UserName.refusal(name, version: PgBouncerVersion(1, 25, 0)) == nil
            else { return complain("not a user's line") }
            guard let settings = UserSettings(rest) else {
                // What it says is lost, but not whom it may have limited.
                reading.file.entries[name] = Entry(limit: UserSettings.none, release: release(of: name) ?? .none)
                return complain("settings that make no sense")
            }
            if section.isEmpty { complain("a user outside of [users]") }
            if case .released = above {
                reading.file.entries[name] = Entry(limit: nil, release: settings)
            } else if let release = release(of: name) {
                reading.file.entries[name] = Entry(limit: settings, release: release)
            } else {
                reading.file.entries[name] = Entry(limit: settings, release: settings.limited(to: 0))
                complain("no comment says how to release the user")
            }
        }

        private func release(of user: String) -> UserSettings? {
            guard case .release(let name, let settings) = above, name.isSameBytes(as: user) else { return nil }
            return settings
        }

        private mutating func takeTrailer(_ line: String) {
            let marker = " dbname="
            guard let words = line.split(separator: " ").first(where: { $0.hasPrefix(marker.dropFirst()) }) else {
                return complain("a database that is not ours")
            }
            let acknowledgement = String(words.dropFirst(marker.count - 1))
            guard line == IncludeFile.trailer(acknowledgement), UserName.isPlain(acknowledgement) else {
                return complain("a database that is not ours")
            }
            (reading.file.acknowledgement, isComplete) = (acknowledgement, true)
        }
    }
}

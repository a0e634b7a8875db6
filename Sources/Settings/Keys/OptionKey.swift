// SPDX-License-Identifier: Apache-2.0

/// A key of the configuration that stands for an option of `pgweir run`: one row says what it takes, which option it is,
/// and what holds without it.
///
/// The file, the environment, `pgweir config print` and the JSON Schema are all made from these rows.
public struct OptionKey: Sendable {
    /// What a value may be.
    public indirect enum Kind: Sendable {
        /// Any text.
        case text
        /// A path.
        case path
        /// An IP address and a port.
        case place
        /// An IP address, and a port if not any.
        case server
        /// An IP address, and the length of its prefix if not one address.
        case network
        /// A connection string of libpq, or a URL: its password may come from the environment only.
        case connection
        /// One of these words.
        case choice([String])
        /// A whole number.
        case integer(ClosedRange<Int>)
        /// A time; the option takes seconds.
        case seconds(ClosedRange<Int64>)
        /// A size in MiB; the option takes MiB.
        case mebibytes(ClosedRange<Int>)
        /// true or false; the option is a flag without a value.
        case toggle
        /// true or false; the flag stands for false.
        case inverse
        /// Several of a kind; the option is repeated.
        case list(Kind)
    }

    /// The place in the file, such as `capture.buffer`.
    public var path: String
    /// The options that say the same; the first is the one used.
    public var options: [String]
    /// What a value may be.
    public var kind: Kind
    /// What holds without it, for people; empty: nothing.
    public var standard: String
    /// What it is.
    public var help: String

    init(
        _ path: String,
        _ options: [String],
        _ kind: Kind,
        _ standard: String,
        help: String
    ) {
        (self.path, self.options, self.kind, self.standard) = (path, options, kind, standard)
        self.help = help
    }

    /// The section and the key in it; a key of the first level has no section.
    var parts: (section: String, key: String) {
        guard let dot = path.firstIndex(of: ".") else { return ("", path) }
        return (String(path[..<dot]), String(path[path.index(after: dot)...]))
    }

    /// Reads a value; what is not of the kind is an error with its place.
    func words(_ node: StrictNode) throws(SettingsError) -> [String] { try words(node, kind) }

    private func words(_ node: StrictNode, _ kind: Kind) throws(SettingsError) -> [String] {
        let what = "'\(path)'"
        switch kind {
        case .text, .path, .connection: return [options[0], try node.text(what)]
        case .place: return [options[0], try node.place(what)]
        case .server: return [options[0], try node.server(what)]
        case .network: return [options[0], try node.network(what)]
        case .choice(let names): return [options[0], try node.word(what, of: names)]
        case .integer(let range), .mebibytes(let range): return [options[0], String(try node.count(what, range))]
        case .seconds(let range): return [options[0], String(try node.duration(what, range))]
        case .toggle: return try node.toggle(what) ? [options[0]] : []
        case .inverse: return try node.toggle(what) ? [] : [options[0]]
        case .list(let kind):
            var words: [String] = []
            for element in try node.elements(what) { words += try self.words(element, kind) }
            return words
        }
    }
}

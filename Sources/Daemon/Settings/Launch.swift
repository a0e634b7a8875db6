// SPDX-License-Identifier: Apache-2.0
public import Settings

/// Puts what the configuration says into the words of the command line, where these do not say it themselves: so that
/// the order option, environment, file, default holds for every option.
public enum Launch {
    /// Commands that take their options from the configuration, and what of it they know.
    private static let sections: [String: [String]] = [
        "run": [],
        "doctor": [
            "capture.interfaces", "capture.ports", "capture.servers", "attribution.", "pricing.", "state.",
            "enforcement.", "control.",
        ],
        "verify": ["attribution.servers", "control."],
    ]

    /// The words that the program goes on with.
    public static func expand(_ words: [String]) throws(SettingsError) -> [String] {
        guard let command = words.first, let known = sections[command],
            !words.contains("--help"), !words.contains("-h")
        else { return words }
        let settings = try ConfigurationFile.load(config(in: words))
        return words + self.words(settings, besides: Array(words.dropFirst()), known)
    }

    /// The words that a configuration stands for, but those that `given` has already.
    public static func words(_ settings: Settings, besides given: [String], _ known: [String] = []) -> [String] {
        let names = Set(given.map { $0.hasPrefix("--") ? String($0.prefix { $0 != "=" }) : $0 })
        var words: [String] = []
        for key in OptionKey.all {
            guard let value = settings.options[key.path], names.isDisjoint(with: key.options) else { continue }
            guard known.isEmpty || known.contains(where: { key.path.hasPrefix($0) }) else { continue }
            guard !isVoid(key, settings, given) else { continue }
            words += value.words
        }
        return words
    }

    /// A mode asked for on the command line takes nothing that belongs to the other.
    private static func isVoid(_ key: OptionKey, _ settings: Settings, _ given: [String]) -> Bool {
        guard let mode = mode(in: given) else { return false }
        let others =
            mode == "proxy"
            ? ["capture.interfaces", "capture.ports", "capture.filter", "capture.tunnels", "capture.tunnel_senders"]
            : ["proxy."]
        return others.contains { key.path.hasPrefix($0) }
    }

    private static func mode(in words: [String]) -> String? { value(of: "--mode", in: words) }

    private static func config(in words: [String]) -> String? { value(of: "--config", in: words) }

    private static func value(of option: String, in words: [String]) -> String? {
        for (index, word) in words.enumerated() {
            if word == option, index + 1 < words.count { return words[index + 1] }
            if word.hasPrefix(option + "=") { return String(word.dropFirst(option.count + 1)) }
        }
        return nil
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
public import Settings

/// Reads the configuration: the file, the environment over it, and the files that it names.
public enum ConfigurationFile {
    /// No configuration is larger, in bytes: more takes seconds to read, and a list of users has a place of its own
    /// (`quota.directory`).
    private static let largest = 4 << 20
    /// Nor is a file that it names by `${file:PATH}` or `quota.key_file`.
    private static let largestSecret = 64 << 10

    /// The file that is read: the one asked for, else that of $PGWEIR_CONFIG.
    public static func path(_ given: String?) -> String? { given ?? Output.environment("PGWEIR_CONFIG") }

    /// The settings of a file, or of the environment alone where there is none.
    public static func load(_ given: String?) throws(SettingsError) -> Settings {
        let environment = Output.variables
        guard let path = path(given) else {
            var settings = Settings()
            try settings.overlay(environment)
            return try withKey(settings, beside: "")
        }
        let yaml = try TextFile.read(path, largest: largest, allowsPipes: true)
        let settings = try Settings(yaml: yaml, file: path, environment: environment) {
            name throws(SettingsError) in
            try TextFile.read(TextFile.resolve(name, beside: path), largest: largestSecret)
        }
        return try withKey(settings, beside: path)
    }

    private static func withKey(_ settings: Settings, beside file: String) throws(SettingsError) -> Settings {
        guard let keyFile = settings.keyFile else { return settings }
        var settings = settings
        let text: String
        do throws(SettingsError) {
            text = try TextFile.read(
                TextFile.resolve(keyFile.name, beside: file),
                largest: largestSecret
            )
        } catch {
            var place = keyFile.place
            place.message = "the key file '\(keyFile.name)' cannot be read: \(error.message)."
            throw place
        }
        try settings.take(keyFile: text)
        return settings
    }
}

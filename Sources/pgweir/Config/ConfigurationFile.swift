// SPDX-License-Identifier: Apache-2.0
import Glibc
import Settings

/// Reads the configuration: the file, the environment over it, and the files that it names.
enum ConfigurationFile {
    /// The file that is read: the one asked for, else that of $PGWEIR_CONFIG.
    static func path(_ given: String?) -> String? { given ?? Output.environment("PGWEIR_CONFIG") }

    /// The settings of a file, or of the environment alone where there is none.
    static func load(_ given: String?) throws(SettingsError) -> Settings {
        let environment = Output.variables
        guard let path = path(given) else {
            var settings = Settings()
            try settings.overlay(environment)
            return try withKey(settings, beside: "")
        }
        let settings = try Settings(yaml: try TextFile.read(path), file: path, environment: environment) {
            name throws(SettingsError) in try TextFile.read(TextFile.resolve(name, beside: path))
        }
        return try withKey(settings, beside: path)
    }

    private static func withKey(_ settings: Settings, beside file: String) throws(SettingsError) -> Settings {
        guard let keyFile = settings.keyFile else { return settings }
        var settings = settings
        let text: String
        do throws(SettingsError) {
            text = try TextFile.read(TextFile.resolve(keyFile.name, beside: file))
        } catch {
            var place = keyFile.place
            place.message = "the key file '\(keyFile.name)' cannot be read: \(error.message)."
            throw place
        }
        try settings.take(keyFile: text)
        return settings
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The environment of the tests.
public enum Environment {
    /// The value of a variable; `nil`: it is not set.
    public static func value(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }
}

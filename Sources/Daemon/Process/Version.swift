// SPDX-License-Identifier: Apache-2.0

/// The program's version.
public enum Version {
    /// As `--version` says it.
    public static let text = "0.1.0"
}

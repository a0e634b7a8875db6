// SPDX-License-Identifier: Apache-2.0

/// The seed of random tests: from `PGWEIR_SEED`, else a new one, which is told where a test fails.
public enum Randomness {
    /// The seed.
    public static let seed = UInt64(Environment.value("PGWEIR_SEED") ?? "") ?? UInt64.random(in: 0...UInt64.max)
    /// Whether full counts were asked for.
    public static let isLong = Environment.value("PGWEIR_LONG") == "1"
}

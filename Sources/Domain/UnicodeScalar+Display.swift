// SPDX-License-Identifier: Apache-2.0

extension Unicode.Scalar {
    /// Whether a terminal does something else with it than to show it: controls, which move the cursor and forge
    /// lines, and format characters, which reorder what stands around them or are not seen at all (UAX #9, UTR #36).
    public var isUnprintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: true
        default: false
        }
    }
}

extension String {
    /// The same with `?` for each character that a terminal would not show.
    public var printable: String {
        String(map { $0.unicodeScalars.contains(where: \.isUnprintable) ? "?" : $0 })
    }
}

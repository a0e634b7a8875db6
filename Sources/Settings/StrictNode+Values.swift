// SPDX-License-Identifier: Apache-2.0
import Yams

extension StrictNode {
    /// One of the cases of an enumeration.
    func choice<Value: RawRepresentable<String> & CaseIterable>(_ what: String) throws(SettingsError) -> Value {
        // YAML 1.1 readers, and people, take a bare `off` for false.
        let text = try text(what)
        guard let value = Value(rawValue: text) else {
            throw error("\(what) must be one of \(Value.allCases.map { $0.rawValue }). Found '\(text)'.")
        }
        return value
    }

    /// One of some words.
    func word(_ what: String, of words: [String]) throws(SettingsError) -> String {
        let text = try text(what)
        guard words.contains(text) else { throw error("\(what) must be one of \(words). Found '\(text)'.") }
        return text
    }

    /// true or false; YAML's other words for them are refused, so that nobody wonders.
    func toggle(_ what: String) throws(SettingsError) -> Bool {
        guard case .scalar(let scalar) = node, let value = Bool(scalar.string) else {
            throw error("\(what) must be true or false.")
        }
        return value
    }

    /// The elements of a list; a single value is a list of one.
    func elements(_ what: String) throws(SettingsError) -> [StrictNode] {
        switch node {
        case .sequence(let sequence): return sequence.map { StrictNode(node: $0, file: file) }
        case .scalar: return [self]
        default: throw error("\(what) must be a list, such as [a, b].")
        }
    }

    /// A list of texts.
    func list(_ what: String) throws(SettingsError) -> [String] {
        guard case .sequence(let sequence) = node else { throw error("\(what) must be a list, such as [a, b].") }
        var texts: [String] = []
        for element in sequence { texts.append(try StrictNode(node: element, file: file).text("an entry of \(what)")) }
        return texts
    }

    /// A whole number.
    func count(_ what: String, _ range: ClosedRange<Int>) throws(SettingsError) -> Int {
        guard case .scalar(let scalar) = node, let value = Int(scalar.string), range.contains(value) else {
            throw error("\(what) must be a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }

    /// A share, such as `20%` or `0.2`.
    func share(_ what: String) throws(SettingsError) -> Double {
        guard case .scalar(let scalar) = node else { throw error("\(what) must be a share, such as 20%.") }
        let isPercent = scalar.string.hasSuffix("%")
        let value = Double(isPercent ? String(scalar.string.dropLast()) : scalar.string).map {
            isPercent ? $0 / 100 : $0
        }
        guard let value, value >= 0, value <= 1 else {
            throw error("\(what) must be a share from 0% to 100%. Found '\(scalar.string)'.")
        }
        return value
    }

    /// A time in seconds, such as `90s`, `10m`, `6h` or `7d`.
    func duration(_ what: String, _ range: ClosedRange<Int64>) throws(SettingsError) -> Int64 {
        let expected =
            "\(what) must be a time from \(range.lowerBound) s to \(range.upperBound) s, such as 90s, 10m or 6h."
        guard case .scalar(let scalar) = node, let unit = scalar.string.last else { throw error(expected) }
        let factor: Int64? = ["s": 1, "m": 60, "h": 3600, "d": 86_400][unit]
        let number = factor == nil ? Int64(scalar.string) : Int64(scalar.string.dropLast())
        guard let number, number <= 1_000_000, range.contains(number * (factor ?? 1)) else {
            throw error(expected + " Found '\(scalar.string)'.")
        }
        return number * (factor ?? 1)
    }
}

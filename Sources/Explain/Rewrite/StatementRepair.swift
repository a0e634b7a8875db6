// SPDX-License-Identifier: Apache-2.0

/// What to change in a generic statement that a server refused.
enum StatementRepair {
    /// The next style to try; the same one when there is nothing left to try.
    static func next(
        after style: GenericStatement.Style,
        state: String,
        reason: String,
        of statement: ParsedStatement
    ) -> GenericStatement.Style {
        var next = style
        switch state {
        case "42P18":
            // could not determine data type of parameter $3
            if let number = parameter(in: reason), number > statement.ownParameters {
                next.castParameters.insert(number)
            } else {
                next.castsStrings = true
            }
        case "42803", "42P10":
            // An expression of GROUP BY or DISTINCT ON must be the same as in the list: its literals too.
            next.sharesEqual = true
        case "42P08": next.sharesEqual = false
        default:
            if !next.castsStrings, statement.hasStrings { next.castsStrings = true } else { next.sharesEqual = true }
        }
        return next
    }

    private static func parameter(in reason: String) -> Int? {
        guard let dollar = reason.lastIndex(of: "$") else { return nil }
        return Int(reason[reason.index(after: dollar)...].prefix { $0.isNumber })
    }
}

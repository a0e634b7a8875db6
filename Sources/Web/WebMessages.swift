// SPDX-License-Identifier: Apache-2.0

/// What a client asks for; only GET and HEAD come this far.
public struct WebRequest: Sendable, Hashable {
    /// The decoded path, such as `/users`.
    public var path: String
    /// The decoded parameters; of equal names the last one holds.
    public var query: [String: String]
    /// The Accept header.
    public var accept: String?

    /// A request.
    public init(path: String, query: [String: String] = [:], accept: String? = nil) {
        (self.path, self.query, self.accept) = (path, query, accept)
    }

    /// A request's target, such as `/users?sort=cost`; `nil` where it is no path.
    init?(target: String, accept: String?) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = Self.decoded(parts.first ?? ""), path.hasPrefix("/") else { return nil }
        self.init(path: path, accept: accept)
        guard parts.count > 1 else { return }
        for pair in parts[1].split(separator: "&").prefix(32) {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(halves[0]), let value = Self.decoded(halves.count > 1 ? halves[1] : "") else {
                return nil
            }
            query[name] = value
        }
    }

    /// Without percent encoding (RFC 3986 §2.1); `nil` if what it stands for is not UTF-8.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                let digits = rest.prefix(2)
                guard digits.count == 2, let value = UInt8(String(Substring(digits)), radix: 16) else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// What a client gets.
public struct WebResponse: Sendable {
    /// The status code (RFC 9110 §15).
    public var status: Int
    /// The Content-Type header.
    public var type: String
    /// The body.
    public var body: [UInt8]
    /// The Location header.
    public var location: String?

    /// An answer.
    public init(_ body: [UInt8], type: String, status: Int = 200) {
        (self.body, self.type, self.status) = (body, type, status)
    }

    /// A line of text.
    public static func text(_ text: String, status: Int = 200) -> WebResponse {
        WebResponse(Array((text + "\n").utf8), type: "text/plain; charset=utf-8", status: status)
    }

    /// A page; `html` is complete.
    public static func html(_ html: String, status: Int = 200) -> WebResponse {
        WebResponse(Array(html.utf8), type: "text/html; charset=utf-8", status: status)
    }

    /// JSON.
    public static func json(_ json: [UInt8], status: Int = 200) -> WebResponse {
        WebResponse(json, type: "application/json", status: status)
    }
}

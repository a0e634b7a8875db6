// SPDX-License-Identifier: Apache-2.0
import Domain
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Lets requests in, has them answered, and sends answers with the headers that keep browsers strict.
struct FrontDesk: HTTPResponder {
    typealias Context = BasicRequestContext

    private let quick: WebServer.QuickAnswer
    private let answer: WebServer.Answer
    private let access: ClientAccess
    private let clerk = Clerk()
    private let isLoopback: Bool

    init(
        _ access: ClientAccess,
        isLoopback: Bool,
        quick: @escaping WebServer.QuickAnswer,
        answer: @escaping WebServer.Answer
    ) {
        (self.access, self.isLoopback, self.quick, self.answer) = (access, isLoopback, quick, answer)
    }

    func start() -> Bool { clerk.start() }

    func finish() { clerk.finish() }

    func respond(to request: Request, context: Context) async throws -> Response {
        let isHead = request.method == .head
        guard isHead || request.method == .get else {
            var response = Self.response(.text("pages are read only; orders go over the local socket", status: 405))
            response.headers[.allow] = "GET, HEAD"
            return response
        }
        // A page elsewhere must not read ours by a name that it points here (DNS rebinding).
        guard !isLoopback || Self.isLocal(request.head.authority) else {
            return Self.response(.text("this is served as localhost only", status: 421))
        }
        guard let asked = WebRequest(target: request.head.path ?? "/", accept: request.headers[.accept]) else {
            return Self.response(.text("the path cannot be read", status: 400))
        }
        if let found = quick(asked) { return Self.response(found, isHead: isHead) }
        // Probes need no password.
        let header = request.headers[.authorization]
        let passwords = access.current.passwords
        var isAllowed = asked.path.hasPrefix("/-/") ? true : passwords.quick(header)
        if isAllowed == nil, let header {
            isAllowed = await onClerk { passwords.slow(header) }
        }
        guard isAllowed == true else {
            var response = Self.response(.text("name and password, please", status: 401))
            response.headers[.wwwAuthenticate] = "Basic realm=\"pgweir\", charset=\"UTF-8\""
            return response
        }
        let answer = answer
        guard let found = await onClerk(isUrgent: asked.path.hasPrefix("/-/"), { answer(asked) }) else {
            var response = Self.response(.text("too many requests wait already", status: 503))
            response.headers[.retryAfter] = "1"
            return response
        }
        return Self.response(found, isHead: isHead)
    }

    /// `nil`: too much waits already.
    private func onClerk<Result: Sendable>(
        isUrgent: Bool = false,
        _ work: @escaping @Sendable () -> Result
    ) async -> Result? {
        await withCheckedContinuation { continuation in
            let isTaken = clerk.take(isUrgent: isUrgent) { continuation.resume(returning: work()) }
            if !isTaken { continuation.resume(returning: nil) }
        }
    }

    /// An address, or localhost.
    static func isLocal(_ authority: String?) -> Bool {
        guard let authority else { return true }
        let hasPort = authority.contains(":") && !authority.hasSuffix("]")
        let whole = hasPort ? authority : authority + ":0"
        return whole.hasPrefix("localhost:") || Endpoint(whole) != nil
    }

    private static func response(_ answer: WebResponse, isHead: Bool = false) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = answer.type
        headers[.cacheControl] = "no-store"
        headers[.contentSecurityPolicy] =
            "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
            + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        headers[.xContentTypeOptions] = "nosniff"
        if let name = HTTPField.Name("Referrer-Policy") { headers[name] = "no-referrer" }
        if let location = answer.location { headers[.location] = location }
        let body = ByteBuffer(bytes: answer.body)
        if isHead { headers[.contentLength] = String(answer.body.count) }
        return Response(
            status: HTTPResponse.Status(code: answer.status),
            headers: headers,
            body: isHead ? ResponseBody() : ResponseBody(byteBuffer: body)
        )
    }
}

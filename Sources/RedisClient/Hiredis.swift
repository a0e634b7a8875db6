// SPDX-License-Identifier: Apache-2.0
import CHiredis
import Glibc

/// hiredis, loaded when it is first needed: most commands never ask a Redis server anything.
///
/// The types are those of its header. Version 0.14 and no other, since we read its structures.
@safe struct Hiredis: Sendable {
    typealias Context = UnsafeMutablePointer<redisContext>
    typealias Text = UnsafePointer<CChar>
    typealias Functions = UnsafeMutablePointer<redisReplyObjectFunctions>

    let adopt: @convention(c) (Int32) -> Context?
    let free: @convention(c) (Context) -> Void
    let append: @convention(c) (Context, Text, Int) -> Int32
    let write: @convention(c) (Context, UnsafeMutablePointer<Int32>) -> Int32
    let read: @convention(c) (Context) -> Int32
    let reply: @convention(c) (Context, UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Int32
    let freeReply: @convention(c) (UnsafeMutableRawPointer?) -> Void
    /// How a reader makes its objects: as hiredis does, but no array longer than `ReplyLimits.elements`.
    nonisolated(unsafe) let functions: Functions
    private let makeArray: @convention(c) (UnsafePointer<redisReadTask>?, Int32) -> UnsafeMutableRawPointer?

    /// The library, or `nil` where it is not installed.
    static let shared = Hiredis()

    private init?() {
        guard let library = unsafe dlopen("libhiredis.so.0.14", RTLD_NOW | RTLD_LOCAL) else { return nil }
        let load = unsafe Loader(library: library)
        guard
            let adopt = unsafe load("redisConnectFd", as: (@convention(c) (Int32) -> Context?).self),
            let free = unsafe load("redisFree", as: (@convention(c) (Context) -> Void).self),
            let append = unsafe load(
                "redisAppendFormattedCommand",
                as: (@convention(c) (Context, Text, Int) -> Int32).self
            ),
            let write = unsafe load(
                "redisBufferWrite",
                as: (@convention(c) (Context, UnsafeMutablePointer<Int32>) -> Int32).self
            ),
            let read = unsafe load("redisBufferRead", as: (@convention(c) (Context) -> Int32).self),
            let reply = unsafe load(
                "redisGetReplyFromReader",
                as: (@convention(c) (Context, UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Int32).self
            ),
            let freeReply = unsafe load(
                "freeReplyObject",
                as: (@convention(c) (UnsafeMutableRawPointer?) -> Void).self
            ),
            let makeReader = unsafe load(
                "redisReaderCreate",
                as: (@convention(c) () -> UnsafeMutablePointer<redisReader>?).self
            ),
            let freeReader = unsafe load(
                "redisReaderFree",
                as: (@convention(c) (UnsafeMutablePointer<redisReader>) -> Void).self
            ),
            let reader = unsafe makeReader(),
            let defaults = unsafe reader.pointee.fn,
            let makeArray = unsafe defaults.pointee.createArray
        else { return nil }
        unsafe (self.adopt, self.free, self.append) = (adopt, free, append)
        unsafe (self.write, self.read, self.reply) = (write, read, reply)
        unsafe (self.freeReply, self.makeArray) = (freeReply, makeArray)
        // Never freed, like the library.
        unsafe functions = .allocate(capacity: 1)
        unsafe functions.initialize(to: defaults.pointee)
        unsafe functions.pointee.createArray = { task, count in
            // An array is announced by ten bytes and would be allocated as a whole.
            guard count <= ReplyLimits.elements, let library = Hiredis.shared else { return nil }
            return unsafe library.makeArray(task, count)
        }
        unsafe freeReader(reader)
    }

    @safe private struct Loader {
        let library: UnsafeMutableRawPointer

        /// A function by its name; the caller says its type, as the header has it.
        func callAsFunction<Function>(_ name: String, as type: Function.Type) -> Function? {
            guard let symbol = unsafe dlsym(library, name) else { return nil }
            return unsafe unsafeBitCast(symbol, to: type)
        }
    }
}

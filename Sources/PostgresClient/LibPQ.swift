// SPDX-License-Identifier: Apache-2.0
import CPostgres
import Glibc

/// libpq, loaded when it is first needed: it brings twenty libraries, and most commands never ask a server anything.
///
/// The types are those of its header (PostgreSQL documentation, chapter "libpq").
@safe struct LibPQ: Sendable {
    typealias Connection = OpaquePointer
    typealias Result = OpaquePointer
    typealias Strings = UnsafePointer<UnsafePointer<CChar>?>
    typealias Text = UnsafePointer<CChar>
    typealias Notice = @convention(c) (UnsafeMutableRawPointer?, Text?) -> Void

    let connect: @convention(c) (Strings, Strings, Int32) -> Connection?
    let finish: @convention(c) (Connection) -> Void
    let status: @convention(c) (Connection) -> ConnStatusType
    let errorMessage: @convention(c) (Connection) -> Text?
    let setNoticeProcessor: @convention(c) (Connection, Notice, UnsafeMutableRawPointer?) -> Notice?
    let socket: @convention(c) (Connection) -> Int32
    let sendQuery: @convention(c) (Connection, Text) -> Int32
    let sendQueryParams:
        @convention(c) (
            Connection, Text, Int32, UnsafePointer<Oid>?, Strings?, UnsafePointer<Int32>?, UnsafePointer<Int32>?, Int32
        ) -> Int32
    let sendPrepare: @convention(c) (Connection, Text, Text, Int32, UnsafePointer<Oid>?) -> Int32
    let sendDescribePrepared: @convention(c) (Connection, Text) -> Int32
    let sendQueryPrepared:
        @convention(c) (
            Connection, Text, Int32, Strings?, UnsafePointer<Int32>?, UnsafePointer<Int32>?, Int32
        ) -> Int32
    let backendPID: @convention(c) (Connection) -> Int32
    let serverVersion: @convention(c) (Connection) -> Int32
    let consumeInput: @convention(c) (Connection) -> Int32
    let isBusy: @convention(c) (Connection) -> Int32
    let getResult: @convention(c) (Connection) -> Result?
    let clear: @convention(c) (Result) -> Void
    let resultStatus: @convention(c) (Result) -> ExecStatusType
    let resultErrorMessage: @convention(c) (Result) -> Text?
    let resultErrorField: @convention(c) (Result, Int32) -> Text?
    let columns: @convention(c) (Result) -> Int32
    let rows: @convention(c) (Result) -> Int32
    let parameters: @convention(c) (Result) -> Int32
    let parameterType: @convention(c) (Result, Int32) -> Oid
    let columnName: @convention(c) (Result, Int32) -> Text?
    let isNull: @convention(c) (Result, Int32, Int32) -> Int32
    let value: @convention(c) (Result, Int32, Int32) -> Text?

    /// The library, or `nil` where it is not installed.
    static let shared = LibPQ()

    private init?() {
        guard let library = unsafe dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL) else { return nil }
        let load = unsafe Loader(library: library)
        guard
            let connect = unsafe load(
                "PQconnectdbParams",
                as: (@convention(c) (Strings, Strings, Int32) -> Connection?).self
            ),
            let finish = unsafe load("PQfinish", as: (@convention(c) (Connection) -> Void).self),
            let status = unsafe load("PQstatus", as: (@convention(c) (Connection) -> ConnStatusType).self),
            let errorMessage = unsafe load("PQerrorMessage", as: (@convention(c) (Connection) -> Text?).self),
            let setNoticeProcessor = unsafe load(
                "PQsetNoticeProcessor",
                as: (@convention(c) (Connection, Notice, UnsafeMutableRawPointer?) -> Notice?).self
            ),
            let socket = unsafe load("PQsocket", as: (@convention(c) (Connection) -> Int32).self),
            let sendQuery = unsafe load("PQsendQuery", as: (@convention(c) (Connection, Text) -> Int32).self),
            let sendQueryParams = unsafe load(
                "PQsendQueryParams",
                as: (@convention(c) (
                    Connection, Text, Int32, UnsafePointer<Oid>?, Strings?, UnsafePointer<Int32>?,
                    UnsafePointer<Int32>?, Int32
                ) -> Int32).self
            ),
            let sendPrepare = unsafe load(
                "PQsendPrepare",
                as: (@convention(c) (Connection, Text, Text, Int32, UnsafePointer<Oid>?) -> Int32).self
            ),
            let sendDescribePrepared = unsafe load(
                "PQsendDescribePrepared",
                as: (@convention(c) (Connection, Text) -> Int32).self
            ),
            let sendQueryPrepared = unsafe load(
                "PQsendQueryPrepared",
                as: (@convention(c) (
                    Connection, Text, Int32, Strings?, UnsafePointer<Int32>?, UnsafePointer<Int32>?, Int32
                ) -> Int32).self
            ),
            let backendPID = unsafe load("PQbackendPID", as: (@convention(c) (Connection) -> Int32).self),
            let serverVersion = unsafe load("PQserverVersion", as: (@convention(c) (Connection) -> Int32).self),
            let parameters = unsafe load("PQnparams", as: (@convention(c) (Result) -> Int32).self),
            let parameterType = unsafe load("PQparamtype", as: (@convention(c) (Result, Int32) -> Oid).self),
            let consumeInput = unsafe load("PQconsumeInput", as: (@convention(c) (Connection) -> Int32).self),
            let isBusy = unsafe load("PQisBusy", as: (@convention(c) (Connection) -> Int32).self),
            let getResult = unsafe load("PQgetResult", as: (@convention(c) (Connection) -> Result?).self),
            let clear = unsafe load("PQclear", as: (@convention(c) (Result) -> Void).self),
            let resultStatus = unsafe load("PQresultStatus", as: (@convention(c) (Result) -> ExecStatusType).self),
            let resultErrorMessage = unsafe load("PQresultErrorMessage", as: (@convention(c) (Result) -> Text?).self),
            let resultErrorField = unsafe load(
                "PQresultErrorField",
                as: (@convention(c) (Result, Int32) -> Text?).self
            ),
            let columns = unsafe load("PQnfields", as: (@convention(c) (Result) -> Int32).self),
            let rows = unsafe load("PQntuples", as: (@convention(c) (Result) -> Int32).self),
            let columnName = unsafe load("PQfname", as: (@convention(c) (Result, Int32) -> Text?).self),
            let isNull = unsafe load("PQgetisnull", as: (@convention(c) (Result, Int32, Int32) -> Int32).self),
            let value = unsafe load("PQgetvalue", as: (@convention(c) (Result, Int32, Int32) -> Text?).self)
        else { return nil }
        unsafe (self.connect, self.finish, self.status) = (connect, finish, status)
        unsafe (self.errorMessage, self.setNoticeProcessor, self.socket) = (errorMessage, setNoticeProcessor, socket)
        unsafe (self.sendQuery, self.consumeInput, self.isBusy) = (sendQuery, consumeInput, isBusy)
        unsafe (self.getResult, self.clear, self.resultStatus) = (getResult, clear, resultStatus)
        unsafe (self.resultErrorMessage, self.resultErrorField) = (resultErrorMessage, resultErrorField)
        unsafe (self.columns, self.rows, self.columnName) = (columns, rows, columnName)
        unsafe (self.isNull, self.value) = (isNull, value)
        unsafe (self.sendQueryParams, self.sendPrepare) = (sendQueryParams, sendPrepare)
        unsafe (self.sendDescribePrepared, self.serverVersion) = (sendDescribePrepared, serverVersion)
        unsafe (self.sendQueryPrepared, self.backendPID) = (sendQueryPrepared, backendPID)
        unsafe (self.parameters, self.parameterType) = (parameters, parameterType)
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

// SPDX-License-Identifier: Apache-2.0
import PostgresClient
import Testing

struct PostgresConnectionTests {
    @Test func `a server that is not there is an error that says so, in time`() {
        #expect(throws: PostgresError.self) {
            _ = try PostgresConnection("host=127.0.0.1 port=1 user=x dbname=x", application: "test", seconds: 2)
        }
    }

    @Test func `a connection string that is none is an error`() {
        #expect(throws: PostgresError.self) {
            _ = try PostgresConnection("host='", application: "test", seconds: 2)
        }
    }
}

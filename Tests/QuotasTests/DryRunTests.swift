// SPDX-License-Identifier: Apache-2.0
import Quotas
import TestKit
import Testing

struct DryRunTests {
    @Test func `a dry run keeps the contract of backends`() throws {
        try EnforcementBackendContract.check(
            .init(
                make: { DryRun() },
                limit: { _ in nil },
                users: ["ann", "ben"],
                stranger: "eve",
                isReal: false
            )
        )
    }
}

// SPDX-License-Identifier: Apache-2.0
public import Costs
import Domain
public import Metering
public import Quotas

/// What workers leave for services.
extension WorkerPool {
    /// What users used since the last time.
    public func takeUsage() -> [UserUsage] { handles.flatMap { $0.outbox.takeUsage() } }

    /// Usage that found no room, because none was taken for long: so many users' slots of ten seconds.
    public var lostUsage: UInt64 { handles.reduce(0) { $0 &+ $1.outbox.lostUsage } }

    /// Asks all workers what was run since the last time; waits at most `timeout` seconds for those that are busy, whose
    /// answers then come with the next.
    public func takeActivity(timeout: Double = 1) -> [ActivityRecord] {
        _ = query(timeout: timeout) { $0.handOverActivity() }
        return handles.flatMap { $0.outbox.takeActivity() }
    }

    /// What the workers asked about prices and told of them since the last time.
    public func takePricing() -> PricingBatch {
        handles.reduce(into: PricingBatch()) { all, handle in all.add(handle.outbox.takePricing()) }
    }

    /// How much slower than usual the statements of all tenants were in the last seconds.
    public var load: Load { evidence.load }
}

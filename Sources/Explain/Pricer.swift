// SPDX-License-Identifier: Apache-2.0
public import Costs
public import Domain
import Fingerprints
import Glibc
import Platform

/// Finds prices in the store, else asks the planner; learns from durations; asks again when tables change.
///
/// For one thread, which nothing waits for.
public final class Pricer {
    /// How much may be asked.
    public struct Limits: Sendable {
        /// EXPLAINs a second; at most 100.
        public var rate = 50.0
        /// The share of one core's time that the server may spend on them, from 0 to 1.
        public var share = 0.25
        /// Patterns that may wait.
        public var queue = 10_000
        /// Patterns that are remembered for asking again.
        public var remembered = 100_000
        /// Bytes that those may take, with their texts.
        public var rememberedBytes = 128 << 20
        /// After so long the price of a popular pattern is asked for again, ns.
        public var popularAge: Int64 = 3_600_000_000_000
        /// After so long any price is, ns.
        public var age: Int64 = 86_400_000_000_000

        /// The defaults.
        public init() {}
    }

    /// What it has done so far; all are counts since the start but the first three.
    public struct Counters: Sendable, Equatable {
        /// Patterns that wait now.
        public var waiting = 0
        /// How long the first of them has waited, in seconds.
        public var age = 0.0
        /// Patterns that are known now.
        public var known = 0
        /// Questions of workers.
        public var questions: UInt64 = 0
        /// Those that the store answered.
        public var found: UInt64 = 0
        /// Plans asked for.
        public var asked: UInt64 = 0
        /// Those that gave a price.
        public var priced: UInt64 = 0
        /// Those that gave none.
        public var failed: UInt64 = 0
        /// Those of them that were not planned, because that could run foreign code.
        public var unsafe: UInt64 = 0
        /// The same by the check that refused them.
        public var refusals: [SafetyChecks.Name: UInt64] = [:]
        /// Texts over which the parser's process ended, or took too long.
        public var parserFailures: UInt64 = 0
        /// Processes of the server that neither their timeout nor a termination ended.
        public var held: UInt64 = 0
        /// Prices that were asked for again because a table changed, or they were old.
        public var refreshed: UInt64 = 0
        /// Prices that moved by more than a factor of four between two questions.
        public var drifted: UInt64 = 0
        /// Failures of the store.
        public var storeErrors: UInt64 = 0
        /// Failures of the connection to the server.
        public var serverErrors: UInt64 = 0
        /// Questions that found no room.
        public var overflow: UInt64 = 0

        /// Nothing yet.
        public init() {}
    }

    struct Known {
        var price: StoredPrice
        var question: PriceQuestion
        /// What each user's runs taught.
        var payers = PayerLearning()
        /// Learned since it was last stored.
        var isChanged = false
        /// Runs since it is known, and whether there were any since it was priced.
        var runs: UInt64 = 0
        var hasRun = false
    }

    /// A user's own price of a pattern.
    struct PayerKey: Hashable {
        var price: Fingerprint
        var payer: Fingerprint
    }

    let store: any CostStore
    let explainer: Explainer?
    private let fallback: CostUnits
    let limits: Limits
    private let complain: (String) -> Void
    var queue: PriceQueue<PriceQuestion>
    private var rate: TokenBucket
    private var busy: TokenBucket
    private var turn: UInt64 = 0
    /// Questions that found no room on their way here.
    private var leftOut: UInt64 = 0
    var known: [Fingerprint: Known] = [:]
    /// Who takes how much room of what is remembered, in bytes.
    private var shares = PayerShares()
    var changes = ChangeBook()
    /// What was complained of last, by what is at fault: said once, until that works again.
    private var complaints: [String: String] = [:]
    /// Databases that could not be reached: they are left alone for a while, the others are asked.
    var rests: [String: (until: Int64, failures: Int)] = [:]
    var lastSweep: Int64 = 0
    var lastSave: Int64 = 0
    var compared = 0
    /// Prices that durations or others changed since workers were told.
    var changed: Set<Fingerprint> = []
    /// The same of users with prices of their own.
    var changedPayers: Set<PayerKey> = []
    var lastPoll: Int64 = 0
    /// What the store called itself last, and how many known prices it is still to be given back.
    var epoch: String?
    var toRestore = 0
    var sizes: [String: TableSizes] = [:]
    /// Settings of roles as the server said last; `nil`: it was not asked yet.
    public internal(set) var roles: RoleFacts?
    /// Prices that are this process's to ask for, and until when.
    private var claims: [Fingerprint: Int64] = [:]
    /// What it has done so far.
    public internal(set) var counters = Counters()

    /// A pricer; without an explainer prices come from the store alone.
    ///
    /// `complain` is told once of each problem.
    public init(
        store: any CostStore,
        explainer: Explainer?,
        fallback: CostUnits,
        limits: Limits = Limits(),
        complain: @escaping (String) -> Void
    ) {
        self.store = store
        self.explainer = explainer
        self.fallback = fallback
        self.limits = limits
        self.complain = complain
        queue = PriceQueue(limit: limits.queue) { ($0.sample.user ?? "", $0.sample.text.count + $0.pattern.count) }
        rate = TokenBucket(rate: min(limits.rate, 100), burst: min(limits.rate, 100))
        // Tokens of a millisecond.
        busy = TokenBucket(rate: 1000 * limits.share, burst: 1000 * limits.share)
    }

    /// What poolers call databases, where the server has another name.
    public func take(aliases: [String: String]) { explainer?.aliases = aliases }

    /// Takes what workers asked and told; `load`: by how much the durations are longer than usual.
    public func take(
        questions: [PriceQuestion],
        changes: [PlanChange],
        observations: [PriceObservation],
        overflow: UInt64,
        load: Load = .none
    ) -> [PriceAnswer] {
        leftOut &+= overflow
        let now = Self.steady()
        for change in changes { self.changes.note(change, at: now) }
        learn(observations, under: load)
        return answer(questions, at: now)
    }

    /// A turn of at most `patience` seconds of asking; returns prices that are new or have changed.
    public func work(patience: Double) -> [PriceAnswer] {
        let start = Self.steady()
        var answers = takeChanged()
        sweep(at: start)
        let end = start &+ Int64(patience * 1e9)
        while let explainer, Self.steady() < end, queue.count > 0 {
            let now = Self.steady()
            guard busy.spend(0, at: now), rate.take(at: now), let (key, question) = queue.next(turn: turn) else {
                break
            }
            turn &+= 1
            if let rest = rests[question.database], rest.until > now {
                queue.postpone(key, for: rest.until &- now, at: now)
                continue
            }
            if let answer = ask(explainer, key, question, at: now) { answers.append(answer) }
            let took = Double(Self.steady() &- now) / 1e6
            busy.charge(took)
            queue.charge(took, to: question.sample.user ?? "")
            counters.held = explainer.heldCount
        }
        (counters.waiting, counters.age) = (queue.count, Double(queue.age(at: Self.steady())) / 1e9)
        (counters.known, counters.overflow) = (known.count, leftOut &+ queue.overflow)
        return answers
    }

    /// Stores what was learned and not stored yet.
    public func finish() { save() }

    // MARK: Questions

    private func answer(_ questions: [PriceQuestion], at now: Int64) -> [PriceAnswer] {
        guard !questions.isEmpty else { return [] }
        counters.questions &+= UInt64(questions.count)
        var answers: [PriceAnswer] = []
        var unknown: [PriceQuestion] = []
        for question in questions {
            if let price = known[question.key]?.price {
                answers.append(Self.answer(price))
                if isOld(price, isPopular: false) { enqueue(question.key, question, calls: question.calls, at: now) }
            } else {
                unknown.append(question)
            }
        }
        let stored = find(unknown.map(\.key))
        for question in unknown {
            if let price = stored[question.key] {
                counters.found &+= 1
                remember(price, question)
                answers.append(Self.answer(price))
                guard isOld(price, isPopular: false) || price.method == .failed else { continue }
            } else if explainer == nil {
                answers.append(Self.answer(assume(question)))
            }
            enqueue(question.key, question, calls: question.calls, at: now)
        }
        return answers
    }

    /// Without a planner the words that a statement begins with tell its class, and durations the rest.
    @discardableResult
    func assume(_ question: PriceQuestion) -> StoredPrice {
        var price = unpriced(question)
        let leading = LeadingWords(question.pattern, LexicalTokens.scan(question.pattern))
        if let utility = UtilityClass(words: leading.words, hasOptions: leading.hasOptions) {
            price.take(.fixed(utility), at: price.priced)
        } else {
            price.failure = StoredPrice.noPlanner
        }
        remember(price, question)
        put([price])
        return price
    }

    /// Has the planner asked, if there is one.
    func enqueue(_ key: Fingerprint, _ question: PriceQuestion, calls: UInt64, at now: Int64) {
        guard explainer != nil else { return }
        queue.add(key, question, calls: calls, at: now)
    }

    /// A price before anybody was asked.
    private func unpriced(_ question: PriceQuestion) -> StoredPrice {
        StoredPrice(
            key: question.key,
            fingerprint: question.fingerprint,
            pattern: String(decoding: question.pattern, as: UTF8.self),
            database: question.database,
            method: .failed,
            cost: fallback,
            priced: Self.time()
        )
    }

    func find(_ keys: [Fingerprint]) -> [Fingerprint: StoredPrice] {
        guard !keys.isEmpty else { return [:] }
        do throws(CostStoreError) {
            let prices = try store.prices(of: keys)
            complaints["store"] = nil
            return Dictionary(prices.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        } catch {
            counters.storeErrors &+= 1
            say(error.description, of: "store")
            return [:]
        }
    }

    private func remember(_ price: StoredPrice, _ question: PriceQuestion) {
        let size = 1024 + question.sample.text.count + question.pattern.count
        while known.count >= limits.remembered || shares.weight + size > limits.rememberedBytes, known[price.key] == nil
        {
            // Of whoever has most: those that run ask again.
            let victims = shares.victims(max(1, limits.remembered / 64))
            guard !victims.isEmpty else { break }
            let changed = victims.compactMap { known[$0] }.filter(\.isChanged).map(\.price)
            for start in stride(from: 0, to: changed.count, by: 100) {
                put(Array(changed[start..<min(start + 100, changed.count)]))
            }
            for key in victims { forget(key) }
        }
        shares.add(price.key, of: question.sample.user ?? "", weight: size)
        var entry = known[price.key] ?? Known(price: price, question: question)
        changes.remove(entry.price)
        if entry.price.cost != price.cost {
            entry.payers.rebase(from: entry.price.cost, to: price.cost)
            changedPayers.formUnion(entry.payers.payers.map { PayerKey(price: price.key, payer: $0) })
        }
        (entry.price, entry.question, entry.hasRun) = (price, question, false)
        known[price.key] = entry
        changes.index(price)
    }

    func forget(_ key: Fingerprint) {
        shares.remove(key)
        if let entry = known.removeValue(forKey: key) { changes.remove(entry.price) }
    }

    static func answer(_ price: StoredPrice, payer: Fingerprint = .unknown) -> PriceAnswer {
        PriceAnswer(
            key: price.key,
            price: price.charge.micro,
            isMeasured: price.isMeasured,
            planned: price.leastOfLearned.micro,
            usual: price.learned.usual,
            isFixed: price.method == .pinned,
            payer: payer
        )
    }

    func isOld(_ price: StoredPrice, isPopular: Bool) -> Bool {
        let age = Self.time().nanoseconds(since: price.priced)
        return price.method != .pinned && age > (isPopular ? limits.popularAge : limits.age)
    }

    // MARK: The server

    private func ask(
        _ explainer: Explainer,
        _ key: Fingerprint,
        _ question: PriceQuestion,
        at now: Int64
    ) -> PriceAnswer? {
        // Where nodes share a store, one of them asks; the others find the price there the next time.
        guard known[key] != nil || claim(key, at: now) else { return nil }
        var price = known[key]?.price ?? unpriced(question)
        guard price.method != .pinned else { return nil }
        (price.limit, price.offset) = (question.limit, question.offset)
        let before = price.cost
        let hadPlan = price.method == .generic || price.method == .literal
        counters.asked &+= 1
        do throws(PricingError) {
            guard !question.sample.text.isEmpty else { throw .syntax(.tooLarge(what: "a text that was not kept")) }
            price.take(try explainer.price(Self.request(question)), at: Self.time())
            price.priced = Self.time()
            counters.priced &+= 1
            queue.succeeded(key)
            rests[question.database] = nil
            complaints["server \(question.database)"] = nil
            let ratio = max(price.cost.units, 0.1) / max(before.units, 0.1)
            if hadPlan, ratio > 4 || ratio < 0.25 {
                counters.drifted &+= 1
                complain(
                    "the price of pattern \(price.fingerprint) moved from \(before.units) to \(price.cost.units) units."
                )
            }
        } catch {
            guard !error.isConnectionLost else {
                queue.postpone(key, for: rest(question, error, at: now), at: now)
                return nil
            }
            // Cancelled for the sake of recovery on the standby: not the statement's fault.
            if error.sqlState == "40001" || error.sqlState == "40P01" {
                queue.postpone(key, for: 2_000_000_000, at: now)
                return nil
            }
            counters.failed &+= 1
            if case .unsafe(let finding) = error {
                counters.unsafe &+= 1
                counters.refusals[finding.check, default: 0] &+= 1
            }
            if case .parserFailed = error { counters.parserFailures &+= 1 }
            price.failures = queue.failed(key, at: now)
            price.failure = Self.word(error)
            // A price that was good stays, until the tables are there again; one that never was is the default.
            if !hadPlan { (price.method, price.cost) = (.failed, fallback) }
            price.priced = Self.time()
        }
        remember(price, question)
        put([price])
        return Self.answer(price)
    }

    /// Whether it is this process's turn to ask: nobody else asks, or the store cannot tell.
    private func claim(_ key: Fingerprint, at now: Int64) -> Bool {
        if let own = claims[key], own > now { return true }
        do throws(CostStoreError) {
            guard try store.claim(key, seconds: Self.claimSeconds) else { return false }
        } catch {
            counters.storeErrors &+= 1
            say(error.description, of: "store")
        }
        if claims.count > limits.queue { claims = claims.filter { $0.value > now } }
        claims[key] = now &+ Int64(Self.claimSeconds) &* 1_000_000_000
        return true
    }

    private static let claimSeconds = 30

    private static func request(_ question: PriceQuestion) -> PricingRequest {
        PricingRequest(
            text: question.sample.text,
            types: question.sample.types,
            database: question.database.isEmpty ? nil : question.database,
            user: question.sample.user,
            searchPath: question.sample.searchPath,
            backslashEscapes: question.sample.backslashEscapes
        )
    }

    /// Why there is no price, without anything that the statement holds.
    private static func word(_ error: PricingError) -> String {
        switch error {
        case .server: error.sqlState ?? "server"
        case .unsafe(let finding): "\(StoredPrice.refused): \(finding.check.rawValue)"
        case .parserFailed: "parser failed"
        case .syntax(.tooLarge): "too large"
        case .syntax, .notOneStatement: "not parsed"
        default: "no plan"
        }
    }

    /// A database cannot be reached: how long it is left alone, ns.
    private func rest(_ question: PriceQuestion, _ error: PricingError, at now: Int64) -> Int64 {
        let database = question.database
        counters.serverErrors &+= 1
        let failures = min((rests[database]?.failures ?? 0) + 1, 8)
        // From a quarter of a second to 32 s, and not all nodes at once.
        let longest = Int64(125_000_000) << Int64(failures)
        let rest = longest / 2 &+ Int64.random(in: 0...longest / 2)
        if rests.count > 1000 { rests = [:] }
        rests[database] = (now &+ rest, failures)
        // The server's words may name the role it refused, and logs name no users.
        var reason = error.description
        if let user = question.sample.user, !user.isEmpty { reason = reason.replacing(user, with: "…") }
        say("no prices for database '\(database)' from --explain: \(reason)", of: "server \(database)")
        return rest
    }

    func put(_ prices: [StoredPrice]) {
        do throws(CostStoreError) {
            try store.store(prices)
        } catch {
            counters.storeErrors &+= 1
            say(error.description, of: "store")
        }
    }

    func say(_ text: String, of fault: String) {
        if complaints.count > 1000 { complaints = [:] }
        if complaints.updateValue(text, forKey: fault) != text { complain(text) }
    }

    static func steady() -> Int64 { SystemClock.nanoseconds() }
    static func time() -> Timestamp { SystemClock.time() }
}

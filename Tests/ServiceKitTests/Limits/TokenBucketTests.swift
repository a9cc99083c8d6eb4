// Token buckets, at times that the test names.
import HTTPTypes
import ServiceKit
import Testing

@Suite("Token buckets")
struct TokenBucketTests {
    private let start = ContinuousClock.now + .seconds(1)

    @Test("a burst passes, then the rate, and what was not used comes back up to the burst")
    func rate() {
        let buckets = TokenBuckets(policy: "person", rate: RequestRate(perSecond: 50, burst: 500))
        func passed(of count: Int, after delay: Duration) -> Int {
            (0..<count).count { _ in buckets.take("ada", at: start + delay).retryAfter == nil }
        }
        #expect(passed(of: 600, after: .zero) == 500)
        // Others have their own.
        #expect(buckets.take("grace", at: start).remaining == 499)
        #expect(passed(of: 600, after: .seconds(1)) == 50)
        #expect(passed(of: 600, after: .milliseconds(1019)) == 0)
        #expect(passed(of: 600, after: .milliseconds(1020)) == 1)
        #expect(passed(of: 600, after: .seconds(3600)) == 500)
    }

    @Test("the verdict says what is left, when all of it is back, and when a refused request may come again")
    func verdict() {
        let buckets = TokenBuckets(policy: "person", rate: RequestRate(perSecond: 2, burst: 10))
        let first = buckets.take("ada", at: start)
        #expect(first.remaining == 9 && first.reset == 1 && first.retryAfter == nil)
        for _ in 0..<8 { _ = buckets.take("ada", at: start) }
        let last = buckets.take("ada", at: start)
        #expect(last.remaining == 0 && last.reset == 5 && last.retryAfter == nil)
        let refused = buckets.take("ada", at: start)
        #expect(refused.remaining == 0 && refused.retryAfter == 1)
        // A refusal costs nothing.
        #expect(buckets.take("ada", at: start + .milliseconds(500)).retryAfter == nil)
        var headers: HTTPFields = [:]
        refused.add(to: &headers)
        #expect(headers[.rateLimitPolicy] == #""person";q=10;w=5"#)
        #expect(headers[.rateLimit] == #""person";r=0;t=1"#)
    }

    @Test("there are no more buckets than the limit, full ones go first, and an empty one is not forgotten for others")
    func bounded() {
        let buckets = TokenBuckets(policy: "person", rate: RequestRate(perSecond: 1, burst: 2), limit: 1000)
        for _ in 0..<2 { _ = buckets.take("ada", at: start) }
        for number in 0..<5000 { _ = buckets.take("\(number)", at: start) }
        #expect(buckets.count <= 1000)
        #expect(buckets.take("ada", at: start).retryAfter != nil)
        // All are full again by then.
        for number in 0..<1000 { _ = buckets.take("later \(number)", at: start + .seconds(10)) }
        _ = buckets.take("last", at: start + .seconds(20))
        #expect(buckets.count <= 1000)
    }
}

// The swift-metrics backend: metrics in memory, written as Prometheus text. The format needs only a dictionary and a
// loop, and no well-kept package fits this project.
package import CoreMetrics
import Synchronization

package final class PrometheusRegistry: MetricsFactory {
    private let state = Mutex<[Series: Metric]>([:])

    /// SECURITY: labels are ours, so more series are a bug, which must not fill the memory.
    private static let maxSeries = 10_000

    package init() {}

    struct Series: Hashable, Sendable {
        let label: String
        let dimensions: [String: String]
    }

    private func metric(_ label: String, _ dimensions: [(String, String)], _ kind: Metric.Kind) -> Metric {
        let series = Series(label: label, dimensions: Dictionary(dimensions, uniquingKeysWith: { first, _ in first }))
        return state.withLock { metrics in
            if let known = metrics[series] { return known }
            let metric = Metric(kind)
            if metrics.count < Self.maxSeries { metrics[series] = metric }
            return metric
        }
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        metric(label, dimensions, .counter)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        metric(label, dimensions, .gauge)
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        metric(label, dimensions, aggregate ? .histogram : .gauge)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        metric(label, dimensions, .histogram)
    }

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    /// The text exposition format, version 0.0.4.
    package func exposition() -> String {
        let metrics = state.withLock { $0 }
        var out = ""
        for (label, group) in Dictionary(grouping: metrics, by: \.key.label).sorted(by: { $0.key < $1.key }) {
            guard let kind = group.first?.value.kind else { continue }
            out += "# TYPE \(Self.name(label)) \(kind.rawValue)\n"
            for (series, metric) in group.sorted(by: { Self.labels($0.key.dimensions) < Self.labels($1.key.dimensions) }
            ) {
                metric.write(name: Self.name(label), dimensions: series.dimensions, to: &out)
            }
        }
        return out
    }

    static func name(_ label: String) -> String {
        String(label.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") ? $0 : "_" })
    }

    static func labels(_ dimensions: [String: String]) -> String {
        guard !dimensions.isEmpty else { return "" }
        let pairs = dimensions.sorted { $0.key < $1.key }.map { "\(name($0.key))=\"\(escaped($0.value))\"" }
        return "{\(pairs.joined(separator: ","))}"
    }

    private static func escaped(_ value: String) -> String {
        String(value.flatMap { $0 == "\\" ? "\\\\" : $0 == "\"" ? "\\\"" : $0 == "\n" ? "\\n" : String($0) })
    }
}

final class Metric: CounterHandler, MeterHandler, RecorderHandler, TimerHandler, Sendable {
    enum Kind: String { case counter, gauge, histogram }

    /// In seconds: from a cache hit to a slow hash.
    static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    let kind: Kind
    private let state = Mutex(State())

    private struct State {
        var value = 0.0
        var count: Int64 = 0
        var buckets = [Int64](repeating: 0, count: Metric.bounds.count)
    }

    init(_ kind: Kind) {
        self.kind = kind
    }

    func increment(by amount: Int64) { state.withLock { $0.value += Double(amount) } }
    func increment(by amount: Double) { state.withLock { $0.value += amount } }
    func decrement(by amount: Double) { state.withLock { $0.value -= amount } }
    func set(_ value: Int64) { state.withLock { $0.value = Double(value) } }
    func set(_ value: Double) { state.withLock { $0.value = value } }
    func reset() { state.withLock { $0 = State() } }
    func record(_ value: Int64) { record(Double(value)) }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }

    func record(_ value: Double) {
        state.withLock { state in
            guard kind == .histogram else {
                state.value = value
                return
            }
            state.value += value
            state.count += 1
            for (index, bound) in Metric.bounds.enumerated() where value <= bound { state.buckets[index] += 1 }
        }
    }

    func write(name: String, dimensions: [String: String], to out: inout String) {
        let state = state.withLock { $0 }
        let labels = PrometheusRegistry.labels(dimensions)
        guard kind == .histogram else {
            out += "\(name)\(labels) \(state.value)\n"
            return
        }
        for (bound, count) in zip(Metric.bounds, state.buckets) {
            out +=
                "\(name)_bucket\(PrometheusRegistry.labels(dimensions.merging(["le": "\(bound)"]) { $1 })) \(count)\n"
        }
        out += "\(name)_bucket\(PrometheusRegistry.labels(dimensions.merging(["le": "+Inf"]) { $1 })) \(state.count)\n"
        out += "\(name)_sum\(labels) \(state.value)\n"
        out += "\(name)_count\(labels) \(state.count)\n"
    }
}

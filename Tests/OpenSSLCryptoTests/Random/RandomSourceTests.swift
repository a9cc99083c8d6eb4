import OpenSSLCrypto
import Testing

@Suite("Random bytes")
struct RandomSourceTests {
    @Test("as many as asked for, on both sides of what is drawn ahead", arguments: [0, 1, 127, 128, 129, 1024, 5000])
    func count(_ count: Int) {
        let source = RandomSource.system
        for _ in 0..<20 { #expect(source.bytes(count).count == count) }
    }

    @Test("no value comes twice, from eight tasks at once")
    func distinct() async {
        let values = await withTaskGroup(of: [[UInt8]].self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<2_000).map { _ in RandomSource.system.bytes(12) } }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(values.count == 16_000)
        #expect(Set(values).count == values.count)
        // Each byte value is expected 750 times; a stuck or erased reservoir would be far off.
        var counts = [Int](repeating: 0, count: 256)
        for byte in values.joined() { counts[Int(byte)] += 1 }
        #expect(counts.allSatisfy { (550...950).contains($0) }, "\(counts)")
    }
}

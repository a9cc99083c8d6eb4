import OpenSSLCrypto
import ServiceKit
import Storage
import Testing

@Suite("ids")
struct IDGeneratorTests {
    @Test("ids sort by their time, and no two are equal")
    func order() {
        let ids = IDGenerator(.system)
        let made = (0..<1000).map { ids.make(at: Instant(microseconds: Int64($0 / 10) * 1000)) }
        #expect(Set(made).count == made.count)
        for (earlier, later) in zip(made, made.dropFirst(10)) { #expect(earlier < later) }
    }

    @Test("a name has two digits for each random byte")
    func names() {
        let ids = IDGenerator(RandomSource { (0..<$0).map { UInt8($0) } })
        #expect(ids.name() == "0001020304050607")
        #expect(ids.name(bytes: 2) == "0001")
    }
}

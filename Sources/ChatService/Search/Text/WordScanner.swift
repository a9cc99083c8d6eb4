// Splits text into words, the same way for the index, for queries and for highlights.
//
// A word is a run of letters and digits; everything else separates. So a URL or a hyphenated word is several words in a
// row, which a query for the same text finds as a phrase. Scripts without spaces become overlapping pairs and, at the
// end of a run, the last character alone, so that any part of a run can be found: 東京都 is 東京 京都 都. An emoji is a word.

struct ScannedWord {
    let bytes: [UInt8]
    let range: Range<Int>
    /// Whether this is the last character of a run in a script without spaces.
    let endsRun: Bool

    var text: String { String(decoding: bytes, as: UTF8.self) }
}

struct WordScanner {
    /// Bytes; base64 and the like are longer and are not searched for.
    static let maxWordBytes = 128

    private var word: [UInt8] = []
    private var wordRange = 0..<0
    private var run: [(scalar: Unicode.Scalar, range: Range<Int>)] = []

    /// Until `body` returns false.
    static func scan(_ utf8: [UInt8], _ body: (ScannedWord) -> Bool) {
        var scanner = WordScanner()
        var goesOn = true
        var place = 0
        while place < utf8.count, goesOn {
            let byte = utf8[place]
            if byte < 0x80 {
                switch byte {
                case 0x61...0x7A, 0x30...0x39: scanner.add(byte, at: place, body, &goesOn)
                case 0x41...0x5A: scanner.add(byte | 0x20, at: place, body, &goesOn)
                default: scanner.end(body, &goesOn)
                }
                place += 1
            } else {
                let (scalar, length) = decode(utf8, at: place)
                let range = place..<(place + length)
                ScalarFolding.fold(scalar) { scanner.add($0, range, body, &goesOn) }
                place += length
            }
        }
        if goesOn { scanner.end(body, &goesOn) }
    }

    private mutating func add(_ byte: UInt8, at place: Int, _ body: (ScannedWord) -> Bool, _ goesOn: inout Bool) {
        if !run.isEmpty { endRun(body, &goesOn) }
        if word.isEmpty { wordRange = place..<place }
        if word.count < Self.maxWordBytes { word.append(byte) }
        wordRange = wordRange.lowerBound..<(place + 1)
    }

    private mutating func add(
        _ folded: FoldedScalar,
        _ range: Range<Int>,
        _ body: (ScannedWord) -> Bool,
        _ goesOn: inout Bool
    ) {
        switch folded.kind {
        case .ignored: break
        case .separator: end(body, &goesOn)
        case .letter:
            if !run.isEmpty { endRun(body, &goesOn) }
            if word.isEmpty { wordRange = range }
            let bytes = UTF8.encode(folded.scalar)
            if let bytes, word.count + bytes.count <= Self.maxWordBytes { word.append(contentsOf: bytes) }
            wordRange = wordRange.lowerBound..<range.upperBound
        case .unspaced:
            if !word.isEmpty { endWord(body, &goesOn) }
            if let last = run.last, let composed = Self.compose(last.scalar, folded.scalar) {
                run[run.count - 1] = (composed, last.range.lowerBound..<range.upperBound)
            } else {
                run.append((folded.scalar, range))
                // Limits the cost of a long run.
                if run.count == 512 { flushPairs(body, &goesOn) }
            }
        case .symbol:
            end(body, &goesOn)
            guard goesOn, let bytes = UTF8.encode(folded.scalar) else { return }
            goesOn = body(ScannedWord(bytes: Array(bytes), range: range, endsRun: false))
        }
    }

    private mutating func end(_ body: (ScannedWord) -> Bool, _ goesOn: inout Bool) {
        if !word.isEmpty { endWord(body, &goesOn) }
        if !run.isEmpty { endRun(body, &goesOn) }
    }

    private mutating func endWord(_ body: (ScannedWord) -> Bool, _ goesOn: inout Bool) {
        if goesOn { goesOn = body(ScannedWord(bytes: word, range: wordRange, endsRun: false)) }
        word.removeAll(keepingCapacity: true)
    }

    /// Emits the pairs so far and keeps the last character, which begins the next pair.
    private mutating func flushPairs(_ body: (ScannedWord) -> Bool, _ goesOn: inout Bool) {
        for (first, second) in zip(run, run.dropFirst()) where goesOn {
            let bytes = Self.encode(first.scalar) + Self.encode(second.scalar)
            let range = first.range.lowerBound..<second.range.upperBound
            goesOn = body(ScannedWord(bytes: bytes, range: range, endsRun: false))
        }
        run.removeFirst(run.count - 1)
    }

    private mutating func endRun(_ body: (ScannedWord) -> Bool, _ goesOn: inout Bool) {
        flushPairs(body, &goesOn)
        if goesOn, let last = run.first {
            goesOn = body(ScannedWord(bytes: Self.encode(last.scalar), range: last.range, endsRun: true))
        }
        run.removeAll(keepingCapacity: true)
    }

    private static func encode(_ scalar: Unicode.Scalar) -> [UInt8] { Array(String(Character(scalar)).utf8) }

    /// The scalar at `place` of valid UTF-8, and its number of bytes.
    private static func decode(_ utf8: [UInt8], at place: Int) -> (Unicode.Scalar, Int) {
        let first = UInt32(utf8[place])
        let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard place + length <= utf8.count else { return (" ", utf8.count - place) }
        var value = first & (length == 2 ? 0x1F : length == 3 ? 0x0F : 0x07)
        for offset in 1..<length { value = value << 6 | UInt32(utf8[place + offset] & 0x3F) }
        return (Unicode.Scalar(value) ?? " ", length)
    }

    /// Kana with its voice mark, or a syllable of Hangul (Unicode Standard, section 3.12), where two scalars are one.
    private static func compose(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
        switch (first.value, second.value) {
        case (0x3046, 0x3099): "\u{3094}"
        case (0x30A6, 0x3099): "\u{30F4}"
        case (0x304B...0x3062, 0x3099), (0x3064...0x3069, 0x3099), (0x306F...0x307D, 0x3099),
            (0x30AB...0x30C2, 0x3099), (0x30C4...0x30C9, 0x3099), (0x30CF...0x30DD, 0x3099):
            Unicode.Scalar(first.value + 1)
        case (0x306F...0x307D, 0x309A), (0x30CF...0x30DD, 0x309A): Unicode.Scalar(first.value + 2)
        case (0x1100..<0x1113, 0x1161..<0x1176):
            Unicode.Scalar(0xAC00 + ((first.value - 0x1100) * 21 + second.value - 0x1161) * 28)
        case (0xAC00..<0xD7A4, 0x11A8..<0x11C3) where (first.value - 0xAC00).isMultiple(of: 28):
            Unicode.Scalar(first.value + second.value - 0x11A7)
        default: nil
        }
    }
}

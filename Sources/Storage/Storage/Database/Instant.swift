// A point in time as both engines store it: whole microseconds since 1970, negative before.

/// Microseconds since 1970-01-01T00:00:00Z. PostgreSQL's `timestamptz` has the same resolution, so an instant survives
/// a round trip through either engine. A `Double` of seconds would not.
package struct Instant: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// 0001-01-01T00:00:00Z, the first instant whose text both engines and RFC 3339 read alike.
    package static let distantPast = Instant(seconds: -62_135_596_800)

    /// 9999-12-31T23:59:59Z, within both engines' range.
    package static let farFuture = Instant(seconds: 253_402_300_799)

    /// Whole seconds since 1970, rounded down: the `NumericDate` of RFC 7519 §2.
    package init(seconds: Int64) {
        self.microseconds = seconds * 1_000_000
    }

    /// Seconds since 1970, rounded towards the past.
    package var seconds: Int64 {
        let (quotient, remainder) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return remainder < 0 ? quotient - 1 : quotient
    }

    package static func < (a: Instant, b: Instant) -> Bool { a.microseconds < b.microseconds }

    package static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(microseconds: instant.microseconds + duration.wholeMicroseconds)
    }

    package static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(microseconds: instant.microseconds - duration.wholeMicroseconds)
    }

    /// How long after `earlier` this instant is; negative if it is before.
    package func since(_ earlier: Instant) -> Duration {
        .microseconds(microseconds - earlier.microseconds)
    }

    /// RFC 3339 in UTC with microseconds, for example `2026-11-21T04:30:00.123456Z`.
    package var description: String { rfc3339 }
}

extension Duration {
    /// The duration in microseconds, truncated.
    package var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}

// MARK: - RFC 3339

extension Instant {
    /// The instants that have a text: a year has four digits (RFC 3339 §5.6).
    private static let writable = distantPast.microseconds...farFuture.microseconds + 999_999

    /// RFC 3339 §5.6 in UTC. Microseconds are always written, so that texts sort by time.
    package var rfc3339: String {
        var out: [UInt8] = []
        out.reserveCapacity(27)
        appendRFC3339(to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// Appends `rfc3339`. An instant without a text becomes the nearest one with a text, so that no row breaks an
    /// answer.
    package func appendRFC3339(to out: inout [UInt8]) {
        let microseconds = min(max(microseconds, Self.writable.lowerBound), Self.writable.upperBound)
        let days = Self.floorDivide(microseconds, 86_400_000_000)
        let inDay = microseconds - days * 86_400_000_000
        let (year, month, day) = Self.civil(fromDays: days)
        let (seconds, fraction) = inDay.quotientAndRemainder(dividingBy: 1_000_000)
        out.append(addingCapacity: 27) { out in
            Self.append(year, places: 1000, to: &out)
            out.append(UInt8(ascii: "-"))
            Self.append(month, places: 10, to: &out)
            out.append(UInt8(ascii: "-"))
            Self.append(day, places: 10, to: &out)
            out.append(UInt8(ascii: "T"))
            Self.append(Int(seconds) / 3600, places: 10, to: &out)
            out.append(UInt8(ascii: ":"))
            Self.append(Int(seconds) / 60 % 60, places: 10, to: &out)
            out.append(UInt8(ascii: ":"))
            Self.append(Int(seconds) % 60, places: 10, to: &out)
            out.append(UInt8(ascii: "."))
            Self.append(Int(fraction), places: 100_000, to: &out)
            out.append(UInt8(ascii: "Z"))
        }
    }

    /// Appends the digits of a number; `places` is the value of the first one.
    private static func append(_ value: Int, places: UInt32, to out: inout OutputSpan<UInt8>) {
        // Narrow integers divide much faster.
        let value = UInt32(truncatingIfNeeded: value)
        var unit = places
        while unit > 0 {
            out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / unit % 10))
            unit /= 10
        }
    }

    /// Reads RFC 3339 §5.6 with any offset and up to nine fraction digits, of which six count. `nil` for anything else,
    /// such as a leap second or a year outside 1 to 9999 in UTC.
    package init?(rfc3339 text: String) {
        var scanner = DigitScanner(bytes: Array(text.utf8))
        guard
            let year = scanner.number(4), scanner.skip("-"),
            let month = scanner.number(2), scanner.skip("-"),
            let day = scanner.number(2), scanner.skip("T") || scanner.skip("t"),
            let hour = scanner.number(2), scanner.skip(":"),
            let minute = scanner.number(2), scanner.skip(":"),
            let second = scanner.number(2),
            (1...12).contains(month), (1...Self.daysIn(month: month, year: year)).contains(day),
            hour < 24, minute < 60, second < 60
        else { return nil }
        guard let fraction = scanner.fraction(), let offset = scanner.offsetMinutes(), scanner.isAtEnd else {
            return nil
        }
        let days = Self.days(year: year, month: month, day: day)
        let minutes = Int64(hour * 60 + minute - offset)
        let microseconds = ((days * 1440 + minutes) * 60 + Int64(second)) * 1_000_000 + fraction
        guard Self.writable.contains(microseconds) else { return nil }
        self.init(microseconds: microseconds)
    }

    private static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        default: 31
        }
    }

    private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
        let (q, r) = a.quotientAndRemainder(dividingBy: b)
        return r < 0 ? q - 1 : q
    }

    /// Days since 1970 of a proleptic Gregorian date. The year starts in March, so that the leap day is its last and
    /// each 400-year era has 146,097 days.
    private static func days(year: Int, month: Int, day: Int) -> Int64 {
        let y = Int64(month <= 2 ? year - 1 : year)
        let era = floorDivide(y, 400)
        let yearOfEra = y - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The inverse of `days(year:month:day:)`.
    private static func civil(fromDays days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
        let year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
        return (year, month, Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1))
    }
}

/// Reads the fixed-width numbers of a timestamp.
private struct DigitScanner {
    let bytes: [UInt8]
    var index = 0

    var isAtEnd: Bool { index == bytes.count }

    mutating func number(_ width: Int) -> Int? {
        guard index + width <= bytes.count else { return nil }
        var value = 0
        for byte in bytes[index..<index + width] {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        index += width
        return value
    }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard index < bytes.count, UInt32(bytes[index]) == character.value else { return false }
        index += 1
        return true
    }

    mutating func fraction() -> Int64? {
        guard skip(".") else { return 0 }
        var value: Int64 = 0
        var digits = 0
        while let digit = number(1) {
            digits += 1
            if digits <= 6 { value = value * 10 + Int64(digit) }
        }
        guard (1...9).contains(digits) else { return nil }
        for _ in 0..<max(0, 6 - digits) { value *= 10 }
        return value
    }

    mutating func offsetMinutes() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let sign: Int
        if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
        guard let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60 else { return nil }
        return sign * (hours * 60 + minutes)
    }
}

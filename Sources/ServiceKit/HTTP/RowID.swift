// Ids have one form in every table, so that a bad id in a path is refused before a query.

/// `^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`.
package enum RowID {
    package static func isValid(_ id: RequestText) -> Bool { isValid(id.utf8) }

    package static func isValid(_ id: some StringProtocol) -> Bool { isValid(id.utf8) }

    private static func isValid(_ bytes: some Collection<UInt8>) -> Bool {
        guard let first = bytes.first, bytes.count <= 64, isAlphanumeric(first) else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || [0x2E, 0x5F, 0x3A, 0x2D].contains($0) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}

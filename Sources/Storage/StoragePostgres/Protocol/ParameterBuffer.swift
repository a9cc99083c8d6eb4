// The parameters of a statement, until libpq has copied them into its own buffer.
//
// A connection has one buffer, so that sending a statement allocates nothing: the bytes of all values in one array, and
// the three arrays that `PQsendQueryPrepared` takes.

import Storage

/// Safe to keep: `pointers` are written and used in one call of `withPointers`, and are not read afterwards.
@safe struct ParameterBuffer {
    private var bytes: [UInt8] = []
    /// Where each value begins; negative for NULL.
    private var offsets: [Int] = []
    private var pointers: [UnsafePointer<CChar>?] = unsafe []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    /// Replaces the buffer's values.
    mutating func encode(_ values: [SQLValue]) {
        bytes.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        for value in values {
            let offset = bytes.count
            let length = BinaryFormat.append(value, to: &bytes)
            offsets.append(length == nil ? -1 : offset)
            lengths.append(Int32(length ?? 0))
        }
        // An empty value still needs a pointer that is not null.
        bytes.append(0)
        // Binary, all of them.
        while formats.count < values.count { formats.append(1) }
    }

    /// Lends the count, values, lengths and formats for libpq.
    @unsafe mutating func withPointers<T>(
        _ body: (Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> T
    ) -> T {
        unsafe pointers.removeAll(keepingCapacity: true)
        return unsafe bytes.withUnsafeBytes { bytes in
            let base = unsafe bytes.bindMemory(to: CChar.self).baseAddress
            for offset in offsets { unsafe pointers.append(offset < 0 ? nil : base.map { unsafe $0 + offset }) }
            return unsafe body(Int32(offsets.count), pointers, lengths, formats)
        }
    }
}

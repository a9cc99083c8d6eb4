// gzip (RFC 1952), unpacked within bounds that hold while it goes on.
//
// SECURITY: a kilobyte can stand for a megabyte. What has been unpacked is compared with the bounds after each piece,
// so that no more than one piece is made past them.
import CZlib

/// Why bytes are not unpacked.
package enum GzipError: Error, Sendable, Equatable {
    /// Not gzip, cut off, or damaged.
    case malformed
    /// More than the limit once it is unpacked.
    case tooLarge
    /// More than so many times its size.
    case tooDense
    /// More than `Gzip.maxMembers` members.
    case tooManyMembers
    case outOfMemory
}

package enum Gzip {
    /// Unpacked bytes that are never too dense.
    private static let free = 64 * 1024
    private static let piece = 64 * 1024
    /// What packs in blocks of 64 KiB makes 128 of 8 MiB. One without content has 20 bytes, and costs its setup.
    package static let maxMembers = 1000

    /// The most bytes that so many packed ones are unpacked into.
    package static func maxSize(of count: Int, ratio: Int) -> Int {
        max(free, count.multipliedReportingOverflow(by: ratio).partialValue)
    }

    /// Unpacks up to a thousand members into at most `limit` bytes, which past the first 64 KiB are at most `ratio`
    /// times the size of `packed`.
    package static func unpack(_ packed: [UInt8], limit: Int, ratio: Int) throws(GzipError) -> [UInt8] {
        let most = maxSize(of: packed.count, ratio: ratio)
        var result: [UInt8] = []
        var rest = packed[...]
        var stream = unsafe z_stream()
        // 16: with the header and trailer of gzip, and no other.
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        guard unsafe inflateInit2_(&stream, MAX_WBITS + 16, zlibVersion(), size) == Z_OK else { throw .outOfMemory }
        defer { unsafe inflateEnd(&stream) }
        // SECURITY: both are made once. For each of 50,000 empty members they would cost more than a large body.
        var buffer = [UInt8](repeating: 0, count: piece)
        var members = 0
        repeat {
            members += 1
            guard members <= maxMembers else { throw .tooManyMembers }
            guard unsafe inflateReset(&stream) == Z_OK else { throw .malformed }
            rest = rest.dropFirst(try unsafe member(rest, &stream, &buffer, limit, most, &result))
        } while !rest.isEmpty
        return result
    }

    /// Unpacks the member that `packed` begins with, and returns how long it is.
    private static func member(
        _ packed: ArraySlice<UInt8>,
        _ stream: inout z_stream,
        _ buffer: inout [UInt8],
        _ limit: Int,
        _ most: Int,
        _ result: inout [UInt8]
    ) throws(GzipError) -> Int {
        var taken = 0
        while true {
            let given = min(packed.count - taken, 1 << 20)
            let input = packed.dropFirst(taken).prefix(given)
            let (status, left, made) = unsafe step(&stream, input, &buffer)
            taken += given - left
            result += buffer[..<made]
            guard result.count <= limit else { throw .tooLarge }
            guard result.count <= most else { throw .tooDense }
            switch status {
            case Z_STREAM_END: return taken
            case Z_OK where given - left > 0 || made > 0: continue
            case Z_MEM_ERROR: throw .outOfMemory
            default: throw .malformed
            }
        }
    }

    /// One call of `inflate`: its status, how many bytes of the input it left, and how many it made.
    private static func step(
        _ stream: inout z_stream,
        _ input: ArraySlice<UInt8>,
        _ buffer: inout [UInt8]
    ) -> (status: Int32, left: Int, made: Int) {
        // SAFETY: zlib reads and writes within the two buffers, whose pointers it gets with each call and does
        // not use between calls. It does not write to `next_in`, which is not const for older programs.
        unsafe input.withUnsafeBufferPointer { source in
            unsafe buffer.withUnsafeMutableBufferPointer { target in
                unsafe stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
                unsafe stream.avail_in = UInt32(source.count)
                unsafe stream.next_out = target.baseAddress
                unsafe stream.avail_out = UInt32(target.count)
                let status = unsafe inflate(&stream, Z_NO_FLUSH)
                return unsafe (status, Int(stream.avail_in), target.count - Int(stream.avail_out))
            }
        }
    }
}

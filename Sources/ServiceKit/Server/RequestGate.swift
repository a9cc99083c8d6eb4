// Holds what a client sends before its turn has come. See RequestTurns.swift.
//
// The decoder parses all that it is given, so the gate cuts: behind the blank line that ends a head, and behind a body
// whose length was announced. A chunked body ends with a blank line too (RFC 9112 §7.1), so every blank line in it is a
// place to cut. Where the gate cuts decides when bytes are parsed, and never what they mean.
import NIOCore

/// Sits in front of the HTTP decoder. Belongs to one channel and runs on its event loop.
final class RequestGate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = Never

    /// Bytes that may be held. A read takes at most 64 KiB, and the next one waits for the turn; only when the client
    /// closes does the channel read on by itself, up to what the kernel has buffered.
    private static let maxHeldBytes = 1 << 20

    private let turn: RequestTurn
    private var held = ByteBuffer()
    private var blankLine = BlankLine()
    private var isReadDue = false
    private var isEndDue = false
    private var isLettingIn = false

    init(_ turn: RequestTurn) {
        self.turn = turn
    }

    func handlerAdded(context: ChannelHandlerContext) {
        turn.mayContinue = { [unowned self] in letIn(context, isRead: false) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        turn.mayContinue = {}
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if held.readableBytes == 0 { held = bytes } else { held.writeBuffer(&bytes) }
        letIn(context, isRead: true)
        if held.readableBytes > Self.maxHeldBytes { context.close(promise: nil) }
    }

    func read(context: ChannelHandlerContext) {
        // Neither while requests are held, nor while the client does not take its answer.
        if held.readableBytes == 0, context.channel.isWritable { context.read() } else { isReadDue = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        context.fireChannelWritabilityChanged()
        letIn(context, isRead: false)
    }

    func channelInactive(context: ChannelHandlerContext) {
        held = ByteBuffer()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        turn.inputHasEnded = true
        if turn.isStreaming { return context.close(promise: nil) }
        // What was sent before is served before the end is passed on.
        isEndDue = true
        letIn(context, isRead: true)
    }

    /// Passes on what the turn allows. `isRead`: the channel itself says when its read is complete.
    private func letIn(_ context: ChannelHandlerContext, isRead: Bool) {
        // Parsing a request may end in its answer, which asks again.
        guard !isLettingIn else { return }
        isLettingIn = true
        var hasPassed = false
        while held.readableBytes > 0, !turn.isAnswering, context.channel.isWritable {
            guard let piece = held.readSlice(length: nextLength()) else { break }
            hasPassed = true
            context.fireChannelRead(wrapInboundOut(piece))
        }
        isLettingIn = false
        if hasPassed, !isRead { context.fireChannelReadComplete() }
        guard held.readableBytes == 0 else { return }
        held = ByteBuffer()
        if isEndDue {
            isEndDue = false
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        if isReadDue, context.channel.isWritable {
            isReadDue = false
            context.read()
        }
    }

    /// How many of the held bytes are the next piece.
    private func nextLength() -> Int {
        if turn.bodyBytes > 0 {
            let length = min(turn.bodyBytes, held.readableBytes)
            turn.bodyBytes -= length
            return length
        }
        return held.withUnsafeReadableBytes { blankLine.end(in: $0) } ?? held.readableBytes
    }
}

/// Finds the ends of blank lines in bytes that come in pieces.
struct BlankLine {
    /// Nothing but a carriage return was seen since the last line feed.
    private var isAtLineStart = false

    /// How many bytes there are up to the end of the first blank line; `nil` when it is not among them.
    mutating func end(in bytes: UnsafeRawBufferPointer) -> Int? {
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case UInt8(ascii: "\n"):
                if isAtLineStart {
                    isAtLineStart = false
                    return index + 1
                }
                isAtLineStart = true
            case UInt8(ascii: "\r"): break
            default: isAtLineStart = false
            }
        }
        return nil
    }
}

// The cleanup of the trash, owner by owner, under the lock of each.
import ServiceKit
import Storage

extension Trash {
    private static let counted = (conversations: "chat_trash_conversations", messages: "chat_trash_messages")

    /// Removes the expired trash, and leftovers of processes that died.
    var cleanup: [CleanupStep] {
        [
            CleanupStep(
                Self.counted.conversations,
                Self.counted.messages,
                owners: { TrashRemovalStatements.ownersOfTrash(until: $0 - retention, limit: $1) },
                remove: { owner, pass in
                    try await count(end(of: owner, before: pass.now - retention), in: &pass)
                }
            ),
            CleanupStep(
                Self.counted.conversations,
                Self.counted.messages,
                owners: { TrashRemovalStatements.ownersOfEnded(until: $0 - Self.abandonedAfter, limit: $1) },
                remove: { owner, pass in
                    try await count(removeEnded(of: owner, before: pass.now - Self.abandonedAfter), in: &pass)
                }
            ),
        ]
    }

    private func count(_ removed: Removed, in pass: inout CleanupPass) {
        pass.count(removed.conversations, as: Self.counted.conversations)
        pass.count(removed.messages, as: Self.counted.messages)
    }
}

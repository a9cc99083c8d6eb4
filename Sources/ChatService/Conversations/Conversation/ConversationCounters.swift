// The statements of a conversation's row that surround the inserting of its messages.
//
// **The conversation's row is the lock of its messages**, and `last_seq` is the line between what is there and what
// a unit is adding: between units no row has a `seq` past it. A unit inserts at `last_seq + k` and moves the line
// last, only if the row at `last_seq + n` exists; whatever lies past the line is therefore the unit's own, and can
// be taken back without knowing which rows it is.
//
// **Version 0 is a conversation that is not finished.** A conversation made with messages has it only inside the unit
// that makes it, where it distinguishes the unit's own fresh row from an older row with the same id, which must not be
// adopted. `advance` makes it 1, `abandon` removes it. A fork or an import that is being copied has it as well, and is
// in the trash until it is complete; see Forks.swift and ExportStatements.swift.
import Storage

enum ConversationCounters {
    /// Takes the row's lock and changes nothing. What follows in the unit sees the row as it is under the lock;
    /// a condition in the statement that waits for it would not (PostgreSQL re-reads the locked row alone).
    static func lock(_ conversation: String, owner: String) -> BoundStatement {
        lockStatement(conversation, owner)
    }

    /// Moves the line past `count` inserted messages; no row when they are not all there. `isNew` says whether this
    /// unit makes the conversation, `head` is the last message inserted, and `title` becomes the title if the
    /// conversation never had one.
    static func advance(
        _ conversation: String,
        owner: String,
        isNew: Bool,
        count: Int,
        tokensIn: Int64,
        tokensOut: Int64,
        head: String,
        title: String?,
        at now: Instant
    ) -> BoundStatement {
        advanceStatement(
            conversation,
            owner,
            isNew,
            count,
            tokensIn,
            tokensOut,
            head,
            now,
            title,
            SearchText.words(of: title)
        )
    }

    /// Removes a conversation of this unit whose messages could not be inserted.
    static func abandon(_ conversation: String, owner: String) -> BoundStatement {
        abandonStatement(conversation, owner)
    }

    private static let lockStatement = Statement(
        "conversations.lock",
        .writes,
        [.text, .text],
        """
        UPDATE conversations SET last_seq = last_seq
        WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL AND \(Principals.mayWrite("$2"))
        RETURNING id
        """
    )

    // An automatic title is a change of the row's own fields; counters are not.
    private static let advanceStatement = Statement(
        "conversations.advance",
        .writes,
        [.text, .text, .boolean, .integer, .integer, .integer, .text, .instant, .text, .words],
        """
        UPDATE conversations SET
            last_seq = last_seq + $4,
            message_count = message_count + $4,
            tokens_in = tokens_in + $5,
            tokens_out = tokens_out + $6,
            head_message_id = $7,
            last_message_at = $8,
            updated_at = $8,
            title = CASE WHEN title_source IS NULL THEN $9 ELSE title END,
            search = CASE WHEN title_source IS NULL THEN $10 ELSE search END,
            title_source = CASE WHEN title_source IS NULL AND $9 IS NOT NULL THEN 'auto' ELSE title_source END,
            version = CASE
                WHEN version = 0 THEN 1
                WHEN title_source IS NULL AND $9 IS NOT NULL THEN version + 1
                ELSE version
            END
        WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL AND (version = 0) = $3
            AND \(Principals.mayWrite("$2"))
            AND EXISTS (
                SELECT 1 FROM messages m WHERE m.conversation_id = $1 AND m.seq = conversations.last_seq + $4
            )
        RETURNING \(ConversationStatements.columns)
        """
    )

    private static let abandonStatement = Statement(
        "conversations.abandon",
        .writes,
        [.text, .text],
        "DELETE FROM conversations WHERE id = $1 AND owner_id = $2 AND version = 0"
    )

    static let all = [lockStatement, advanceStatement, abandonStatement] + ConversationDeductions.all
}

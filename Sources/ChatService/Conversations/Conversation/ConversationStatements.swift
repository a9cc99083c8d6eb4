// SQL of single conversations. See also ConversationListStatements.swift and ConversationCounterStatements.swift.
import ServiceKit
import Storage

enum ConversationStatements {
    /// For lists: everything but the JSON at the end of the row.
    static let summaryColumns = """
        id, owner_id, title, title_source, model, slug, visibility, pinned_at, archived_at, archive_reason, \
        forked_from_conversation_id, forked_from_message_id, head_message_id, last_seq, message_count, \
        tokens_in, tokens_out, last_message_at, created_at, updated_at, version, read_seq, \(unread), \
        \(TagStatements.names)
        """
    /// Live messages after the marker, at most 1,000 of them counted: they are counted only where some were deleted.
    ///
    /// In RETURNING, SQLite 3.40 takes `IS NULL` of a column that ALTER TABLE added for false.
    private static let unread = """
        CASE WHEN COALESCE(read_seq, last_seq) >= last_seq THEN 0 WHEN message_count = last_seq THEN last_seq - read_seq
            WHEN read_seq = 0 THEN message_count
            ELSE (
                SELECT COUNT(*) FROM (
                    SELECT 1 FROM messages WHERE conversation_id = conversations.id AND \(MessageState.live.sql())
                        AND \(MessagePages.liveSequence) > +conversations.read_seq
                    ORDER BY \(MessagePages.liveSequence) LIMIT \(Conversation.maxUnread)
                ) AS later
            ) END AS unread_count
        """
    static let columns = summaryColumns + ", settings, metadata"

    // Without a conflict target: a taken id or slug is no row, either way.
    private static let insert = Statement(
        "conversations.insert",
        .writes,
        [
            "id": .text, "owner": .text, "title": .text, "title_source": .text, "model": .text, "slug": .text,
            "visibility": .text, "now": .instant, "version": .integer, "settings": .text, "metadata": .text,
            "words": .words,
        ],
        """
        INSERT INTO conversations
            (id, owner_id, title, title_source, model, slug, visibility, created_at, updated_at, version,
             settings, metadata, search, read_seq)
        SELECT :id, principals.id, :title, :title_source, :model, :slug, :visibility, :now, :now, :version, :settings,
            :metadata, :words, 0
        FROM principals WHERE principals.id = :owner AND \(Principals.mayWrite(principal: ":owner"))
        ON CONFLICT DO NOTHING
        RETURNING \(columns)
        """
    )

    /// `isComplete`: this transaction inserts no messages into it.
    static func insert(draft: ConversationDraft, id: String, owner: String, isComplete: Bool, at now: Instant)
        -> BoundStatement
    {
        let (title, source) = draft.titleAndSource
        let versions = ConversationState.versions
        return insert.bind([
            "id": id, "owner": owner, "title": title, "title_source": source, "model": draft.model,
            "slug": draft.slug, "visibility": draft.visibility.rawValue, "now": now,
            "version": isComplete ? versions.live : versions.incomplete, "settings": draft.settings,
            "metadata": draft.metadata, "words": SearchText.words(of: title),
        ])
    }

    private static let get = Statement(
        "conversations.get",
        .reads,
        ["id": .text, "owner": .text],
        """
        SELECT \(columns) FROM conversations WHERE id = :id AND \(ConversationState.live.sql(of: ":owner"))
        """
    )

    static func get(id: String, owner: String) -> BoundStatement { get.bind(["id": id, "owner": owner]) }

    private static let made = Statement(
        "conversations.made",
        .reads,
        ["id": .text, "owner": .text, "trashed_after": .instant],
        """
        SELECT \(columns), deleted_at FROM conversations
        WHERE id = :id AND \(ConversationState.complete.sql(of: ":owner"))
            AND (\(ConversationState.live.sql()) OR deleted_at > :trashed_after)
        """
    )

    /// A conversation that is live, or in the trash since after an instant.
    static func made(id: String, owner: String, trashedAfter instant: Instant) -> BoundStatement {
        made.bind(["id": id, "owner": owner, "trashed_after": instant])
    }

    private static let isVisible = Statement(
        "conversations.is_visible",
        .reads,
        ["id": .text, "owner": .text],
        """
        SELECT id, message_count FROM conversations
        WHERE id = :id AND \(ConversationState.live.sql(of: ":owner"))
        """
    )

    /// Whether a conversation is visible to its owner, and its message count.
    static func isVisible(id: String, owner: String) -> BoundStatement {
        isVisible.bind(["id": id, "owner": owner])
    }

    private static let isTaken = Statement(
        "conversations.is_taken",
        .reads,
        ["id": .text],
        "SELECT id FROM conversations WHERE id = :id"
    )

    static func isTaken(id: String) -> BoundStatement { isTaken.bind(["id": id]) }

    private static let slugHolder = Statement(
        "conversations.slug_holder",
        .reads,
        ["owner": .text, "slug": .text],
        """
        SELECT id FROM conversations WHERE owner_id = :owner AND slug = :slug AND \(ConversationState.live.sql())
        """
    )

    static func holder(ofSlug slug: RequestText, owner: String) -> BoundStatement {
        slugHolder.bind(["owner": owner, "slug": slug])
    }

    // Pairs of (is it set, to what); where NULL cannot be stored, NULL means "leave it".
    private static let change = Statement(
        "conversations.change",
        .writes,
        [
            "id": .text, "owner": .text, "expected": .integer, "now": .instant, "sets_title": .boolean, "title": .text,
            "sets_model": .boolean, "model": .text, "sets_slug": .boolean, "slug": .text, "visibility": .text,
            "archived": .boolean, "sets_reason": .boolean, "reason": .text, "pinned": .boolean, "settings": .text,
            "metadata": .text, "head": .text, "words": .words,
        ],
        """
        UPDATE conversations SET
            title = CASE WHEN :sets_title THEN :title ELSE title END,
            search = CASE WHEN :sets_title THEN :words ELSE search END,
            title_source = CASE WHEN :sets_title THEN 'user' ELSE title_source END,
            model = CASE WHEN :sets_model THEN :model ELSE model END,
            slug = CASE WHEN :sets_slug THEN :slug ELSE slug END,
            visibility = COALESCE(:visibility, visibility),
            archived_at = CASE
                WHEN :archived IS NULL THEN archived_at WHEN :archived THEN COALESCE(archived_at, :now)
            END,
            archive_reason = CASE
                WHEN :archived = FALSE OR (:archived IS NULL AND archived_at IS NULL) THEN NULL
                WHEN :sets_reason THEN :reason
                ELSE archive_reason
            END,
            pinned_at = CASE WHEN :pinned IS NULL THEN pinned_at WHEN :pinned THEN COALESCE(pinned_at, :now) END,
            settings = COALESCE(:settings, settings),
            metadata = COALESCE(:metadata, metadata),
            head_message_id = COALESCE(:head, head_message_id),
            updated_at = :now,
            version = version + 1
        WHERE id = :id AND \(ConversationState.live.sql(of: ":owner"))
            AND (:expected IS NULL OR version = :expected)
            AND \(Principals.mayWrite(principal: ":owner"))
            AND (:slug IS NULL OR NOT EXISTS (
                SELECT 1 FROM conversations o
                WHERE o.owner_id = :owner AND o.slug = :slug AND o.id <> :id AND \(ConversationState.live.sql("o"))
            ))
            AND (:head IS NULL OR EXISTS (
                SELECT 1 FROM messages m
                WHERE m.id = :head AND \(MessageState.live.sql(in: ":id", "m"))
            ))
        RETURNING \(columns)
        """
    )

    /// `metadata` is the merged whole.
    static func change(
        id: String,
        owner: String,
        to patch: ConversationPatch,
        metadata: String?,
        expected: Int64?,
        at now: Instant
    ) -> BoundStatement {
        change.bind([
            "id": id, "owner": owner, "expected": expected, "now": now, "sets_title": patch.title.isPresent,
            "title": patch.title.value, "sets_model": patch.model.isPresent, "model": patch.model.value,
            "sets_slug": patch.slug.isPresent, "slug": patch.slug.value, "visibility": patch.visibility?.rawValue,
            "archived": patch.archived, "sets_reason": patch.archiveReason.isPresent,
            "reason": patch.archiveReason.value, "pinned": patch.pinned, "settings": patch.settings,
            "metadata": metadata, "head": patch.headMessage, "words": SearchText.words(of: patch.title.value),
        ])
    }

    static let all =
        [insert, get, made, isVisible, isTaken, slugHolder, change] + ConversationListStatements.all
        + SidebarStatements.all
        + ConversationCounterStatements.all + TrashStatements.all + ForkStatements.all
}

-- `messages.later` of Sources/ChatService/Messages/MessageStatements.swift: a page of 20 and the row after it.
\set seq random(0, :length - 21)
SELECT id, conversation_id, seq, parent_id, author_id, role, type, status, model, tokens_in, tokens_out, tokens_total, created_at, updated_at, edited_at, version, metadata, content_text, parts FROM messages WHERE conversation_id = :conversation AND seq > :seq AND deleted_at IS NULL AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = :conversation AND c.owner_id = :owner AND c.deleted_at IS NULL) ORDER BY seq LIMIT 21;

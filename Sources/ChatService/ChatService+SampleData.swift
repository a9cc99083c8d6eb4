// Conversations made by the operator's own hand: sample data.
package import ServiceKit

extension ChatService {
    /// Makes a conversation, with what `POST /v1/conversations` takes, for a user. Returns its id.
    package func createConversation(ownedBy owner: String, _ body: JSONElement) async throws -> String {
        let made = try await conversations.create(by: Caller(id: owner, kind: "user")) { identify in
            try ConversationDraft(JSONBody(body), identify: identify)
        }
        return made.value.conversation.id
    }
}

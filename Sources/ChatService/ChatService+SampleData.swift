package import ServiceKit

extension ChatService {
    /// Takes the body of `POST /v1/conversations`. Returns the id.
    package func createConversation(ownedBy owner: String, _ body: JSONElement) async throws -> String {
        let made = try await features.conversations.create(by: Caller(id: owner, kind: "user")) { identify in
            try ConversationDraft(JSONBody(body), identify: identify)
        }
        return made.value.conversation.id
    }
}

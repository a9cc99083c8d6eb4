// Today's exceptions. Lines are removed, never added.

enum OwnershipExceptions {
    static let foreignWrites: Set<String> = [
        "ChatService/PersonalData/Erasure/EraseStep.swift writes to a table that its text does not name",
        "ChatService/PersonalData/Export/ExportStatements.swift writes to conversations",
        "ChatService/PersonalData/Export/ExportStatements.swift writes to messages",
        "ChatService/PersonalData/Export/ExportStatements.swift writes to principals",
        "ChatService/PersonalData/Export/ExportedEntities.swift writes to a table that its text does not name",
        "ChatService/Search/Query/SearchStatements.swift writes to conversations",
        "ChatService/Search/Query/SearchStatements.swift writes to messages",
    ]

    static let foreignStatements: Set<String> = [
        "ChatService/Operations/Cleanup/ChatCleanup.swift names IdempotencyStatements",
        "ChatService/Operations/Cleanup/ChatCleanup.swift names ReservationStatements",
        "ChatService/Operations/Cleanup/ChatCleanup.swift names TrashRemovalStatements",
    ]
    static let upwardNames: Set<String> = [
        "ChatService/Principals/AuthMirror/UserMirror.swift names Erasures"
    ]

    static let unlabelledValues: Set<String> = [
        "ChatService/Operations/Jobs/JobLeases.swift",
        "ChatService/Principals/AuthMirror/UserMirror.swift",
    ]
    static let positionalParameters: Set<String> = [
        "ChatService/Operations/Jobs/JobLeases.swift",
        "ChatService/Principals/AuthMirror/MirrorStatements.swift",
        "ChatService/Search/Query/SearchStatements.swift",
    ]

    static let resultsByNumber: Set<String> = [
        "ChatService/Principals/AuthMirror/UserMirror.swift"
    ]

    static let longRoots: Set<String> = ["ChatService/ChatService.swift"]
}

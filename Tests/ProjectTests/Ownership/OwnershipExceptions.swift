// What stands in the way of the walls today. A line goes when its reason does; none is added.

enum OwnershipExceptions {
    static let foreignWrites: Set<String> = [
        "AuthService/Identity/Users/UserStatements.swift writes to events",
        "ChatService/PersonalData/Erasure/EraseStep.swift writes to a table that its text does not name",
        "ChatService/PersonalData/Export/ExportStatements.swift writes to conversations",
        "ChatService/PersonalData/Export/ExportStatements.swift writes to messages",
        "ChatService/PersonalData/Export/ExportStatements.swift writes to principals",
        "ChatService/PersonalData/Export/ExportedEntities.swift writes to a table that its text does not name",
        "ChatService/Search/Index/SearchPurge.swift writes to a table that its text does not name",
        "ChatService/Search/Query/SearchStatements.swift writes to conversations",
        "ChatService/Search/Query/SearchStatements.swift writes to messages",
        "ChatService/Usage/Reservations/ReservationStatements.swift writes to principals",
    ]

    static let foreignStatements: Set<String> = [
        "AuthService/Operations/Cleanup/Cleanup.swift names AuditStatements",
        "AuthService/Operations/Cleanup/Cleanup.swift names ClientStatements",
        "AuthService/Operations/Cleanup/Cleanup.swift names EventStatements",
        "AuthService/Operations/Cleanup/Cleanup.swift names RefreshTokenStatements",
        "AuthService/Operations/Cleanup/Cleanup.swift names SessionStatements",
        "AuthService/Operations/Cleanup/Cleanup.swift names ThrottleStatements",
        "ChatService/Operations/Cleanup/ChatCleanup.swift names IdempotencyStatements",
        "ChatService/Operations/Cleanup/ChatCleanup.swift names ReservationStatements",
        "ChatService/Operations/Statistics/AdminDataRoutes.swift names ErasureStatements",
        "ChatService/PersonalData/Erasure/EraseStep.swift names ChangeStatements",
        "ChatService/Operations/Cleanup/ChatCleanup.swift names TrashRemovalStatements",
    ]

    static let upwardNames: Set<String> = [
        "AuthService/AuthRequestContext.swift names Origin",
        "AuthService/AuthRequestContext.swift names Role",
        "AuthService/Events/Epochs/EventEpochs.swift names SessionEnds",
        "AuthService/Identity/Users/AdminUserRoutes.swift names Passwords",
        "AuthService/Identity/Users/AdminUserRoutes.swift names Sessions",
        "AuthService/Identity/Users/AdminUserRoutes.swift names Signup",
        "AuthService/Identity/Users/MeRoutes.swift names SessionCookiePolicy",
        "AuthService/Identity/Users/Users.swift names SessionEnds",
        "AuthService/Keys/KeyRoutes.swift names ClientScope",
        "AuthService/Keys/KeyRoutes.swift names OAuthTokenRoutes",
        "AuthService/Sessions/AccessTokens/AccessTokens.swift names Client",
        "AuthService/Sessions/AccessTokens/LocalTrust.swift names Client",
        "AuthService/Sessions/AccessTokens/LocalTrust.swift names Clients",
        "AuthService/Sessions/Revocation/FollowedRevocations.swift names Clients",
        "ChatService/PersonalData/Import/Importer.swift names ChatService",
        "ChatService/Principals/AuthMirror/UserMirror.swift names Erasures",
    ]

    static let unlabelledValues: Set<String> = [
        "AuthService/Events/Epochs/EventEpochs.swift",
        "AuthService/Events/Log/EventLog.swift",
        "AuthService/Events/Log/Events.swift",
        "AuthService/Identity/Accounts/Accounts.swift",
        "AuthService/Identity/Users/UserLists.swift",
        "AuthService/Identity/Users/Users.swift",
        "AuthService/Keys/SigningKeys.swift",
        "AuthService/OAuth/Clients/Clients.swift",
        "AuthService/Operations/Audit/Audit.swift",
        "AuthService/Operations/Cleanup/Cleanup.swift",
        "AuthService/Sessions/RefreshTokens/Tokens.swift",
        "AuthService/Sessions/Sessions/SessionEnds.swift",
        "AuthService/Sessions/Sessions/Sessions.swift",
        "AuthService/SignIn/RateLimiting/Throttle.swift",
        "ChatService/Operations/Cleanup/ChatCleanup.swift",
        "ChatService/Operations/Jobs/JobLeases.swift",
        "ChatService/Principals/AuthMirror/UserMirror.swift",
    ]

    static let positionalParameters: Set<String> = [
        "AuthService/Events/Log/EventStatements.swift",
        "AuthService/Identity/Accounts/AccountStatements.swift",
        "AuthService/Identity/Users/UserStatements.swift",
        "AuthService/Keys/SigningKeyStatements.swift",
        "AuthService/OAuth/Clients/ClientStatements.swift",
        "AuthService/Operations/Audit/Audit.swift",
        "AuthService/Operations/Cleanup/CleanupStatements.swift",
        "AuthService/Sessions/RefreshTokens/RefreshTokenStatements.swift",
        "AuthService/Sessions/Sessions/SessionStatements.swift",
        "AuthService/SignIn/RateLimiting/ThrottleStatements.swift",
        "ChatService/Operations/Jobs/JobLeases.swift",
        "ChatService/Principals/AuthMirror/MirrorStatements.swift",
        "ChatService/Search/Index/SearchPurge.swift",
        "ChatService/Search/Query/SearchStatements.swift",
        "ChatService/Usage/Ledger/UsageStatements.swift",
    ]

    static let resultsByNumber: Set<String> = [
        "AuthService/Events/Epochs/EventEpochs.swift",
        "AuthService/Events/Log/EventLog.swift",
        "AuthService/Identity/Users/UserLists.swift",
        "AuthService/Identity/Users/Users.swift",
        "AuthService/OAuth/Clients/Clients.swift",
        "AuthService/Operations/Cleanup/Cleanup.swift",
        "AuthService/Sessions/RefreshTokens/Tokens.swift",
        "AuthService/Sessions/Sessions/Sessions.swift",
        "AuthService/SignIn/Passwords/Passwords.swift",
        "AuthService/SignIn/RateLimiting/Throttle.swift",
        "ChatService/Principals/AuthMirror/UserMirror.swift",
        "ChatService/Principals/Principals/Principals.swift",
        "ChatService/Search/Index/SearchPurge.swift",
    ]
}

// What is mounted where.
import Hummingbird
package import ServiceKit
import TesseraVerifierHummingbird

extension ChatService {
    package func buildRouter() -> ServiceRouter<ChatRequestContext> {
        let router = ServiceRouter<ChatRequestContext>()
        router.add(middleware: RequestIDMiddleware(random: random))
        router.add(middleware: RequestLogMiddleware(service: "chat"))
        router.add(
            middleware: CORSMiddleware(
                origins: AllowedOrigins(configuration.corsOrigins, loopback: configuration.allowsLoopbackOrigins),
                publicURL: configuration.publicURL
            )
        )
        router.add(middleware: ClientAddressMiddleware(trustedProxies: configuration.trustedProxies))
        let counters = RequestCounters(configuration.requests)
        router.add(middleware: RequestScopeMiddleware(memory: configuration.memory, counters: counters))
        router.add(middleware: ErrorMiddleware(routes: router.table))
        router.add(middleware: RequestRulesMiddleware())
        HealthRoutes(
            service: "chat",
            contract: contract,
            warnings: isFollowing ? [] : [Self.notFollowing],
            isReady: isReady
        ).mount(on: router.group())

        let tokens = TokenVerifierMiddleware<ChatRequestContext>(
            verifier: verifier,
            mode: .required,
            requireUser: true,
            failure: TokenRefusal.apiError
        )
        let perPerson = RequestLimitMiddleware<ChatRequestContext>(counters: counters) { .person(try $1.caller.id) }
        let authenticated = router.group("v1").add(middleware: tokens).add(middleware: perPerson)
        let data = DataRoutes(erasures: erasures)
        data.mount(on: authenticated)
        data.mountReceipt(
            on: router.group("v1")
                .add(
                    middleware: ReceiptTokenMiddleware(
                        verifier: verifier,
                        others: tokens,
                        counters: counters,
                        erasures: erasures
                    )
                )
                .add(middleware: perPerson)
        )
        let refusal = BlockedPrincipalsMiddleware(blocked: features.blocked)
        let admitted = authenticated.group().add(middleware: refusal)
        mountOwn(on: admitted)
        mountAdmin(
            on: admitted.group("chat/admin")
                .add(middleware: ClaimRequirementMiddleware(.role("admin"), failure: TokenRefusal.apiError))
        )
        mountChanges(
            on: router.group("v1")
                .add(middleware: StreamTicketMiddleware(tickets: features.streamTickets))
                .add(middleware: tokens)
                .add(middleware: perPerson)
                .add(middleware: refusal)
        )
        return router
    }

    private func mountChanges(on group: RouteGroup<ChatRequestContext>) {
        ChangeRoutes(
            changes: features.changes,
            feed: features.changeFeed,
            tickets: features.streamTickets,
            verifier: verifier,
            blocked: features.blocked
        ).mount(on: group)
    }

    /// Routes of a person's own data.
    private func mountOwn(on group: RouteGroup<ChatRequestContext>) {
        ConversationRoutes(conversations: features.conversations, trash: features.trash).mount(on: group)
        TrashRoutes(trash: features.trash).mount(on: group)
        ForkRoutes(forks: features.forks).mount(on: group)
        MessageRoutes(messages: features.messages).mount(on: group)
        VoteRoutes(votes: features.votes).mount(on: group)
        TagRoutes(tags: features.tags).mount(on: group)
        SearchRoutes(search: features.search).mount(on: group)
        UsageRoutes(usage: features.usage, reservations: features.reservations).mount(on: group)
        ExportRoutes(
            read: export(of:),
            slots: ExportSlots(limits: configuration.exports),
            verifier: verifier,
            blocked: features.blocked
        ).mount(on: group)
    }

    private func mountAdmin(on group: RouteGroup<ChatRequestContext>) {
        let data = AdminData(database: features.database)
        AdminDataRoutes(
            data: data,
            erasures: erasures,
            feedState: isFollowing ? "following" : Self.notFollowing,
            logger: logger
        ).mount(on: group)
    }
}

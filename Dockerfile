# The binary with Swift's libraries inside, on a slim Debian. Every step that builds is a make target that
# continuous integration runs too.

FROM swift:6.3-bookworm AS build
WORKDIR /src
RUN apt-get update && apt-get install --yes --no-install-recommends make
COPY Makefile ./
COPY scripts scripts
RUN make deps
COPY Package.swift openapi.yaml ./
COPY migrations migrations
COPY Sources Sources
COPY Tests Tests
COPY Benchmarks Benchmarks
COPY Examples Examples
# There is no checkout here: --build-arg COMMIT=$(git rev-parse --short=12 HEAD) gives the binary its commit.
ARG COMMIT
RUN make release

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates libargon2-1 libidn2-0 libpq5 libsqlite3-0 libssl3 libstdc++6 tzdata zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home tessera \
    && install --directory --owner=tessera --group=tessera --mode=0700 /var/lib/tessera
COPY --from=build /src/dist/tessera /usr/local/bin/tessera
USER 10001
ENV TESSERA_HOST=0.0.0.0 TESSERA_DATA_DIR=/var/lib/tessera
VOLUME /var/lib/tessera
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# Without a command it prints what there is and ends with status 64.
ENTRYPOINT ["/usr/local/bin/tessera"]

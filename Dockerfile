# The image of vidette: one binary, an unprivileged user, no entrypoint.
#
#   docker build -t vidette .
#   docker run -p 80:80 -e VIDETTE_LISTEN_PUBLIC=0.0.0.0:80 \
#     -e VIDETTE_UPSTREAM_INGEST=http://relay:3000 vidette
#
# No engine runs in our tests: tests/compose/dockerfile carries these steps out
# itself, so keep to FROM, ENV, WORKDIR, COPY, RUN, USER, HEALTHCHECK, CMD.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
# The schema says what its comments say.
COPY config/vidette.yml config/vidette.yml
# Not built, but Cargo.toml names them, and cargo wants to see what it names.
COPY benches benches
COPY tests tests
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin vidette \
    && install -D target/release/vidette /out/vidette

FROM debian:bookworm-slim
# curl, or wget in older versions, with rm, mkdir, find and ls which every Debian has, is what
# self-hosted's install/setup-js-sdk-assets.sh runs in this service.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl wget \
    && rm -rf /var/lib/apt/lists/*
# A new sentry-nginx-www volume takes its owner from here.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin vidette \
    && install -d -o vidette -g vidette /var/lib/vidette /var/www /var/www/js-sdk
COPY --from=build /out/vidette /usr/local/bin/vidette
# Port 80 needs no privilege where net.ipv4.ip_unprivileged_port_start is 0, as
# it is in the network namespaces of Docker since 20.10; config/compose says so
# itself, for older ones and for podman. We set no capability on the file: the
# kernel refuses to start such a file where the capability is dropped.
USER vidette
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["vidette", "healthcheck"]
CMD ["vidette", "run"]

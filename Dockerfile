# Sluice in a container: sluiced as PID 1, as an unprivileged user, its journal in /fluentd/buffer.
#
#   docker build -t sluice .
#   docker run -p 24224:24224 -v sluice-buffer:/fluentd/buffer -e FLUENTD_SHARED_KEY=... -e DASH0_API_KEY=... sluice
#
# Without a volume on /fluentd/buffer what is acknowledged dies with the container.

FROM debian:12-slim AS build
WORKDIR /src
COPY packages.build ./
RUN apt-get update \
    && sed 's/#.*//' packages.build | xargs apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN autoreconf -fi \
    && mkdir /build && cd /build \
    && /src/configure --prefix=/usr --sysconfdir=/etc \
    && make -j"$(nproc)" \
    && make install-strip DESTDIR=/out

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libcap2 libconfig9 libcurl4 libisal2 libjson-c5 libseccomp2 libssl3 \
        libsystemd0 libxxhash0 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 999 sluice \
    && useradd --system --uid 999 --gid sluice --home-dir /fluentd --shell /usr/sbin/nologin sluice \
    && install -d -o sluice -g sluice -m 0750 /fluentd/buffer /run/sluice
COPY --from=build /out/ /
# docker stop kills after 10 seconds; what is not delivered by then stays in the journal.
ENV SLUICE_DATA_DIR=/fluentd/buffer \
    SLUICE_SHUTDOWN_GRACE=8s
USER sluice
VOLUME /fluentd/buffer
EXPOSE 24224 24224/udp
# SIGTERM (docker stop's) drains.
ENTRYPOINT ["/usr/sbin/sluiced"]

# Everything comes from Debian and npm: `docker build --target balancer -t headroom .`

FROM debian:trixie-slim AS build
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates nodejs npm \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY migrations migrations
# Compiles, too. The npm package `node` brings the Node.js that the program runs on; Debian's own is older and only runs npm.
RUN npm ci && cp node_modules/node/bin/node /build/node && npm prune --omit=dev --ignore-scripts

FROM debian:trixie-slim AS balancer
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates libstdc++6 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --create-home --home-dir /var/lib/headroom headroom
COPY --from=build /build/node /usr/local/bin/node
COPY --from=build /build/package.json /opt/headroom/
COPY --from=build /build/node_modules /opt/headroom/node_modules
COPY --from=build /build/dist /opt/headroom/dist
COPY --chmod=755 examples/container-start.sh /usr/local/bin/
RUN ln -s /opt/headroom/dist/src/main.js /usr/local/bin/headroom && chmod +x /opt/headroom/dist/src/main.js
# ./headroom.yaml and sqlite:headroom.db are looked for here.
WORKDIR /var/lib/headroom
USER headroom
VOLUME /var/lib/headroom
ENTRYPOINT ["headroom"]
CMD ["start"]

FROM debian:trixie-slim AS redis
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends redis-server \
  && rm -rf /var/lib/apt/lists/*
USER redis
WORKDIR /var/lib/redis
ENTRYPOINT ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

# Simulated media servers for the cluster to look at, and the caller: sipp with the scenarios of examples/cluster.
FROM debian:trixie-slim AS media-server
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends sip-tester \
  && rm -rf /var/lib/apt/lists/*
COPY examples/cluster/media-server.xml examples/cluster/caller.xml /etc/sipp/
USER nobody
WORKDIR /tmp
ENV TERM=dumb
ENTRYPOINT ["sipp", "-sf", "/etc/sipp/media-server.xml", "-aa", "-nostdin", "-i", "127.0.0.1"]

# docker build -t gpu_exporter .                                  for this machine
# docker buildx build --platform linux/amd64,linux/arm64 .        cross-compiled, no emulator needed
#
# Whoever publishes it adds where it comes from: --label org.opencontainers.image.source=... --build-arg REVISION=...

# A digest makes a build repeatable to the byte whatever the tag comes to mean: --build-arg GO_IMAGE=golang@sha256:...
ARG GO_IMAGE=docker.io/library/golang:1.26-bookworm

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .

# Nothing of the machine, the day or the folder gets into the binary. An empty version is that of the file VERSION.
ARG TARGETOS
ARG TARGETARCH
ARG VERSION
ARG REVISION
RUN about=github.com/prometheus/common/version && \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -o /root_of_image/gpu_exporter \
      -ldflags "-s -w -X $about.Version=$VERSION -X $about.Revision=$REVISION" .

# All else that the image has: two folders for the volumes, which belong to the user, a name for that user, and the name
# `curl`, under which the binary answers health checks that were made for another image (curl.go).
RUN cd /root_of_image && mkdir -p app/cache app/logs etc usr/bin && cp /src/LICENSE /src/NOTICE . && ln -s /gpu_exporter usr/bin/curl && \
    echo 'gpu_exporter:x:1000:1000:gpu_exporter:/app:/sbin/nologin' >etc/passwd && echo 'gpu_exporter:x:1000:' >etc/group && \
    chmod 0755 gpu_exporter && chown -R 1000:1000 app && find . -exec touch --no-dereference --date=@0 {} +

FROM scratch
LABEL org.opencontainers.image.title="gpu_exporter" \
      org.opencontainers.image.description="Prometheus exporter for GPUs: temperature, load, memory, clocks, power, fans, health" \
      org.opencontainers.image.licenses="Apache-2.0 AND MIT AND BSD-3-Clause AND OFL-1.1"
COPY --from=build /root_of_image /
ENV PATH=/:/usr/bin \
    GPU_EXPORTER_HISTORY_PATH=/app/cache \
    GPU_EXPORTER_LOG_FILE=/app/logs/gpu_stats.log
WORKDIR /app
USER 1000:1000
EXPOSE 5009
# It asks where the environment of the container says that it listens: flags after the image's name are not known to it.
HEALTHCHECK --interval=30s --timeout=10s --retries=3 --start-period=30s CMD ["/gpu_exporter", "health"]
ENTRYPOINT ["/gpu_exporter"]

# healthd's image: no shell, no root, nothing written outside /data. docs/deployment.md says how to build and run it.
#
#   docker build -t healthd .                     the daemon
#   docker build -t healthd:restore --target restore .   with pg_restore and psql, for restore drills
#
# Any Debian or Ubuntu with Python 3.11 or newer will do as a base; give one by digest for a reproducible build.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

# What must be there to install: uv, and the locked dependencies in a virtual environment
FROM ${PYTHON_IMAGE} AS build
ARG SOURCE_DATE_EPOCH=0
ENV UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY deploy/image/install.sh /usr/local/bin/install-locked
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/run/secrets/ca.pem \
    /bin/sh /usr/local/bin/install-locked dependencies
COPY healthd healthd
COPY deploy/image/finish.py deploy/image/finish.py
RUN /bin/sh /usr/local/bin/install-locked healthd
COPY checks/host checks/host
RUN /bin/sh /usr/local/bin/install-locked layout

# What runs
FROM ${PYTHON_IMAGE} AS base
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="healthd" \
      org.opencontainers.image.description="Turns an operations runbook into a running service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
ENV PATH=/opt/healthd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HEALTHD_HOST=0.0.0.0 \
    HEALTHD_PORT=9780 \
    HEALTHD_LOG_FORMAT=json \
    HEALTHD_CHECKS=/etc/healthd/checks \
    HEALTHD_DATABASE_URL=sqlite:////data/healthd.db \
    HEALTHD_REVISION=${REVISION}
# one layer, whose bytes depend on nothing but what went in: COPY would give /opt and /etc the time of the build
ARG SOURCE_DATE_EPOCH=0
RUN --mount=type=bind,from=build,source=/image,target=/mnt \
    cp --archive /mnt/. / \
 && touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" /opt /etc /data
USER 65532:65532
WORKDIR /data
VOLUME ["/data"]
EXPOSE 9780
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python3", "-m", "healthd", "alive"]
ENTRYPOINT ["healthd"]
CMD ["run"]

# For restore drills: PostgreSQL's client programs
FROM base AS restore
ARG POSTGRESQL_CLIENT=postgresql-client
USER 0:0
# hadolint ignore=DL3008
RUN --mount=type=bind,from=build,source=/src/deploy/image,target=/mnt \
    apt-get update \
 && apt-get install --yes --no-install-recommends "${POSTGRESQL_CLIENT}" gzip \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig \
 && python3 /mnt/finish.py /opt/healthd
USER 65532:65532

FROM base AS healthd

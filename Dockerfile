# One image for workers, the command line and the local B2. Nothing in it is secret: workers
# read their credentials from a file that is mounted when they start.
#
# A tag moves, a digest does not. To pin the base, give it with its digest:
#
#   docker buildx imagetools inspect python:3.13-slim      its digest today
#   docker build --build-arg BASE=python:3.13-slim@sha256:... -t b2jobs .
#
# For traces (`b2jobs docs operations`), with OpenTelemetry's SDK and OTLP over HTTP, 10 MB more:
#
#   docker build --build-arg OTEL=1 -t b2jobs .

ARG BASE=python:3.13-slim

FROM ${BASE} AS build
RUN python -m venv /opt/b2jobs
COPY requirements.txt /src/
RUN /opt/b2jobs/bin/pip install --no-cache-dir --require-hashes -r /src/requirements.txt
ARG OTEL=
COPY docker/otel.txt /src/
RUN test -z "$OTEL" || /opt/b2jobs/bin/pip install --no-cache-dir --require-hashes -r /src/otel.txt
COPY pyproject.toml README.md LICENSE /src/
COPY docs /src/docs
COPY tasks /src/tasks
COPY worker /src/worker
COPY emulator /src/emulator
COPY console /src/console
RUN /opt/b2jobs/bin/pip install --no-cache-dir --no-deps /src

FROM ${BASE}
COPY --from=build /opt/b2jobs /opt/b2jobs
COPY docker/b2jobs /opt/b2jobs-image/b2jobs
COPY docker/config.toml /etc/b2jobs/config.toml
# Volumes take the mode of the folder they are mounted over. Compose runs the image as the user
# who may read the secrets file, whatever number that is, so any user can write these three.
RUN useradd --uid 1000 --create-home b2jobs \
    && install -d -m 1777 /srv/b2jobs /srv/local-b2 /var/cache/b2jobs
ENV PATH=/opt/b2jobs-image:/opt/b2jobs/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    B2JOBS_CACHE_FOLDER=/var/cache/b2jobs \
    B2JOBS_CONFIG=/etc/b2jobs/config.toml \
    B2JOBS_SECRETS_FILE=/run/secrets/b2.json
USER 1000:1000
ENTRYPOINT ["b2jobs"]
CMD ["worker"]

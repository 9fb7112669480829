# One image for every process; docker-compose.yml says which one a container runs.
# The digest is that of the tag for all architectures: `docker buildx imagetools inspect` tells it.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS base

# Has all the tools; of it, only what is copied below is in the image.
FROM base AS build
WORKDIR /app
COPY requirements.lock tools/install_dependencies.py ./
RUN python -m venv /tools \
 && /tools/bin/python install_dependencies.py requirements.lock
COPY deploy/image.lock deploy/
RUN python -m venv .venv \
 && .venv/bin/python install_dependencies.py deploy/image.lock
COPY . .
# An editable wheel has metadata and a path: the code stays what is copied, generated code included.
RUN /tools/bin/python -m hatchling build --target wheel:editable --directory /wheel \
 && .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps /wheel/*.whl \
 && .venv/bin/python -m pip uninstall --quiet --yes setuptools \
 && /tools/bin/cyclonedx-py requirements deploy/image.lock --pyproject pyproject.toml \
      --output-reproducible --output-file sbom.cdx.json

# The pip of .venv stays: it fetches models, as models.toml says.
FROM base
RUN apt-get update -qq \
 && apt-get install -qq --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && python -m pip uninstall --quiet --yes pip setuptools wheel \
 && useradd --create-home --uid 10001 parley \
 && install -d -o parley -g parley /models /journal /certificates /signatures \
      /tls /tls/gateway /tls/speech /tls/task /tls/avatar
WORKDIR /app
COPY --from=build /app/LICENSE /app/NOTICE /app/models.toml /app/sbom.cdx.json ./
COPY --from=build /app/.venv .venv
COPY --from=build /app/gen gen
COPY --from=build /app/personas personas
COPY --from=build /app/parley parley
COPY --from=build /app/engine engine
COPY --from=build /app/services services
COPY --from=build /app/gateway gateway
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER parley
CMD ["python", "-m", "gateway"]

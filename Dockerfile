# One image for every process; docker-compose.yml says which one a container runs.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN python -m venv .venv
COPY requirements.lock ./
COPY tools/install_dependencies.py tools/
RUN .venv/bin/python tools/install_dependencies.py requirements.lock
COPY . .
RUN .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .

FROM python:3.11-slim-bookworm
RUN apt-get update -qq \
 && apt-get install -qq --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 parley \
 && install -d -o parley -g parley /models /journal /certificates /signatures
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER parley
CMD ["python", "-m", "gateway"]

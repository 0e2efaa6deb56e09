# The service and the `vitreid` command in an image. No torch, so no training, but all that works on bundles: evaluate,
# export adopt and export calibrate. No compiler.
#
#   docker build -f docker/service.Dockerfile --target cpu -t vitreid:cpu .
#   docker build -f docker/service.Dockerfile --target gpu -t vitreid:gpu .
#
# --build-arg EXTRAS=openvino puts that runtime in as well, which is 180 MB; several extras are separated by commas.
#
# Always name the target: without one, Docker builds the last and largest. A builder without BuildKit makes every stage
# that stands before its target, so all of `gpu` stands behind `cpu`.

# ---- what to install: two lists, so that another change to pyproject.toml does not install everything again
FROM python:3.11-slim-bookworm AS requirements
ARG EXTRAS=
WORKDIR /lists
COPY pyproject.toml ./
RUN python -c "import os, tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
base, optional = project['dependencies'], project['optional-dependencies']; \
asked = [extra for extra in os.environ['EXTRAS'].split(',') if extra]; \
[open(f'{target}.txt', 'w').write('\n'.join(sum((optional[each] for each in [*asked, 'adopt', target]), base)) + '\n') \
for target in ('cpu', 'gpu')]"

# ---- pip works here and stays here
FROM python:3.11-slim-bookworm AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/tools/constraints.txt
COPY constraints.txt /tools/
RUN python -m venv /tools/venv \
    && /tools/venv/bin/pip install --quiet "setuptools>=77" \
    && python -m venv --without-pip /opt/vitreid

# (the packages' own tests go: 50 MB that nobody runs here)
FROM tools AS cpu-packages
COPY --from=requirements /lists/cpu.txt /tools/
RUN /tools/venv/bin/pip --python /opt/vitreid/bin/python install --quiet --requirement /tools/cpu.txt \
    && find /opt/vitreid -type d -name tests -prune -exec rm -r {} +

# ---- our packages, compiled, with the metadata that tells their version
FROM tools AS app
WORKDIR /build
COPY pyproject.toml LICENSE ./
COPY vitreid vitreid
COPY bundle bundle
COPY scoring scoring
COPY synthetic synthetic
COPY training training
COPY export export
COPY service service
RUN /tools/venv/bin/pip install --quiet --no-deps --no-build-isolation --target /app . && rm -r /app/bin
COPY docker/vitreid /app/bin/vitreid

# ---- all of the image but its packages
FROM python:3.11-slim-bookworm AS runtime
LABEL org.opencontainers.image.title="vitreid" org.opencontainers.image.licenses="Apache-2.0"
# Published Python images come without the standard library's .pyc, and the service's user cannot write them: that would
# cost every start. A file of the library that does not compile is no reason to have no image.
RUN python -m compileall -q -x '/(test|tests|lib2to3|site-packages|dist-packages)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" || true
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin vitreid \
    && mkdir /bundle /backups /data && chown vitreid:vitreid /backups /data
# PYTHONSAFEPATH: a mounted working folder that has a bundle/ or service/ of its own must not be imported.
# SQLITE_TMPDIR: purging writes a copy of the database for a moment, which is too large for /tmp.
ENV PATH=/app/bin:/opt/vitreid/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HOME=/tmp \
    VITREID_DATA=/data \
    SQLITE_TMPDIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# As process 1, vitreid would not notice a SIGTERM that comes before it serves, nor one while it indexes; Python always has
# a handler for SIGINT, which ends both in order.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import http.client, os, sys; \
c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('VITREID_PORT') or 8000), timeout=4); \
c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["vitreid"]
# In a container 127.0.0.1 reaches nobody. On any other address the service wants API keys (vitreid keys create), or
# VITREID_INSECURE=1 where its port is published to one machine alone, as docker-compose.yml does it.
CMD ["serve", "--host", "0.0.0.0"]

FROM runtime AS cpu
COPY --from=cpu-packages /opt/vitreid /opt/vitreid
COPY --from=app /app /app

# ---- the same with the GPU builds of onnxruntime and faiss, and NVIDIA's libraries as Python packages
FROM tools AS gpu-packages
COPY --from=requirements /lists/gpu.txt /tools/
RUN /tools/venv/bin/pip --python /opt/vitreid/bin/python install --quiet --requirement /tools/gpu.txt \
    && find /opt/vitreid -type d -name tests -prune -exec rm -r {} +

FROM runtime AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility VITREID_PROVIDER=cuda
COPY --from=gpu-packages /opt/vitreid /opt/vitreid
COPY --from=app /app /app

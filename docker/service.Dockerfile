# An image with the service and the `vitreid` command. No torch and so no training, but everything that works on bundles:
# evaluate, export adopt, export calibrate. No compiler.
#
#   docker build -f docker/service.Dockerfile --target cpu -t vitreid:cpu .
#   docker build -f docker/service.Dockerfile --target gpu -t vitreid:gpu .
#
# --build-arg EXTRAS=openvino adds that runtime (180 MB); separate several extras by commas.
#
# Always name the target: without one, Docker builds the last and largest. A builder without BuildKit builds every stage
# before its target, so the stages of `gpu` come after `cpu`.

# ---- requirement lists, so that other changes to pyproject.toml do not reinstall everything
FROM python:3.11-slim-bookworm AS requirements
ARG EXTRAS=
WORKDIR /lists
COPY pyproject.toml ./
RUN python -c "import os, tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
base, optional = project['dependencies'], project['optional-dependencies']; \
extras = [extra for extra in os.environ['EXTRAS'].split(',') if extra]; \
[open(f'{target}.txt', 'w').write('\n'.join(sum((optional[each] for each in [*extras, 'adopt', target]), base)) + '\n') \
for target in ('cpu', 'gpu')]"

# ---- pip, in a stage that is not shipped
FROM python:3.11-slim-bookworm AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/tools/constraints.txt
COPY constraints.txt /tools/
RUN python -m venv /tools/venv \
    && /tools/venv/bin/pip install --quiet "setuptools>=77" \
    && python -m venv --without-pip /opt/vitreid

# (removes the packages' own tests, 50 MB)
FROM tools AS cpu-packages
COPY --from=requirements /lists/cpu.txt /tools/
RUN /tools/venv/bin/pip --python /opt/vitreid/bin/python install --quiet --requirement /tools/cpu.txt \
    && find /opt/vitreid -type d -name tests -prune -exec rm -r {} +

# ---- vitreid, compiled, with the metadata of its version
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

# ---- the image without its packages
FROM python:3.11-slim-bookworm AS runtime
LABEL org.opencontainers.image.title="vitreid" org.opencontainers.image.licenses="Apache-2.0"
# Python's images lack the .pyc files of the standard library, and the service's user cannot write them: every start would
# be slower. A library file that does not compile must not fail the build.
RUN python -m compileall -q -x '/(test|tests|lib2to3|site-packages|dist-packages)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" || true
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin vitreid \
    && mkdir /bundle /backups /data && chown vitreid:vitreid /backups /data
# PYTHONSAFEPATH: Python files in a mounted working folder must not be imported.
# SQLITE_TMPDIR: a purge writes a copy of the database, which may be too large for /tmp.
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
# As process 1, vitreid would ignore a SIGTERM before it serves or while it indexes; Python always handles SIGINT.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import http.client, os, sys; \
c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('VITREID_PORT') or 8000), timeout=4); \
c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["vitreid"]
# 127.0.0.1 cannot be reached from outside a container. Any other address needs API keys (vitreid keys create), or
# VITREID_INSECURE=1 if the port is published to this machine only, as in docker-compose.yml.
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

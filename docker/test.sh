#!/usr/bin/env bash
# Build the image and use it as its users do: up, index a mounted folder, query, restart, and check that the gallery is
# still there. Needs a Docker engine, Compose, curl and python3; leaves the image, and nothing else.
#
#   BUNDLE=./folder  the model, instead of the starter bundle      VITREID_PORT=18000  the port on 127.0.0.1
#   GPU=1            build the gpu target too (4.4 GB) and import its packages
set -euo pipefail
cd "$(dirname "$0")/.."
export VITREID_PORT="${VITREID_PORT:-18000}"
project=vitreid-test # its containers and volumes are its own, beside those of a service that is up here
url="http://127.0.0.1:$VITREID_PORT"

say() { echo "== $*"; }
fail() {
    echo "docker-test: $*" >&2
    exit 1
}
since() { python3 -c 'import sys, time; print(f"{time.time() - float(sys.argv[1]):.1f}")' "$1"; }
now() { date +%s.%N; }
in_service() { compose exec -T vitreid "$@"; }
get() { curl --silent --fail --noproxy '*' --max-time 20 "$url$1"; }

compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose -p "$project" "$@"
    else
        docker-compose -p "$project" "$@"
    fi
}

# The service's container id, from Docker: Compose takes almost a second.
container() {
    docker ps --all --quiet --filter "label=com.docker.compose.project=$project" \
        --filter label=com.docker.compose.service=vitreid --filter label=com.docker.compose.oneoff=False
}

check_tools() {
    for tool in curl python3; do
        command -v "$tool" >/dev/null || fail "$tool is needed"
    done
    docker info >/dev/null 2>&1 ||
        fail "no Docker engine answers; install Docker Engine (docs.docker.com/engine/install) and start dockerd"
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null ||
        fail "Compose is needed: docker compose or docker-compose"
}

finish() {
    code=$?
    trap - EXIT
    if [ "$code" != 0 ]; then
        compose logs --tail 30 >&2 || true
    fi
    compose down --volumes >/dev/null 2>&1 || true
    rm -rf "$work"
    exit "$code"
}

# Wait until the service is ready, and report the time since the container's process started.
wait_ready() {
    for _ in $(seq 1200); do
        if get /readyz >/dev/null; then
            answered=$(now)
            started=$(docker inspect --format '{{.State.StartedAt}}' "$(container)")
            say "ready $(python3 -c "
from datetime import datetime
started = datetime.fromisoformat('$started'[:23].rstrip('Z') + '+00:00').timestamp()
print(f'{$answered - started:.1f}')") s after the container's start"
            return
        fi
        id=$(container)
        [ "$(docker inspect --format '{{.RestartCount}}' "$id")" = 0 ] || fail "the service exited; see its log"
        sleep 0.05
    done
    fail "not ready after a minute"
}

wait_healthy() {
    for _ in $(seq 120); do
        [ "$(docker inspect --format '{{.State.Health.Status}}' "$(container)")" != healthy ] || return 0
        sleep 0.5
    done
    fail "the container does not become healthy"
}

check_container() {
    id=$(container)
    user=$(in_service id -u)
    [ "$user" != 0 ] || fail "the service runs as root"
    [ "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$id")" = true ] || fail "the root is not read-only"
    if in_service sh -c 'touch /app/x /opt/vitreid/x' 2>/dev/null; then fail "the service can change its own code"; fi
    rights=$(in_service sed -n 's/^CapBnd:\s*0*//p; s/^NoNewPrivs:\s*//p' /proc/1/status | tr '\n' ' ')
    [ "$rights" = " 1 " ] || fail "process 1 may gain rights (CapBnd, NoNewPrivs: $rights)"
    addresses=$(docker inspect --format '{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}' "$id")
    [ "$addresses" = "127.0.0.1 " ] || fail "published on $addresses, not only on 127.0.0.1"
    in_service python -c "
import sys
from importlib.util import find_spec
found = [name for name in ('torch', 'timm', 'torchvision', 'matplotlib', 'setuptools') if find_spec(name)]
sys.exit(f'the image contains {found}' if found else 0)" || fail "the image contains packages that it must not"
    in_service python -c "
import sys
from pathlib import Path
import vitreid.service.cli, vitreid.training.evaluation.embed, vitreid.export.adopt, faiss, onnxruntime
bare = [str(f) for p in ('/app', '/opt/vitreid') for f in Path(p).rglob('*.py')
        if not any((f.parent / '__pycache__').glob(f.stem + '.cpython-*.pyc'))]
sys.exit(f'not compiled: {bare[:5]}' if bare else 0)" || fail "the image has sources without .pyc files"
    say "user $user, no capabilities, root filesystem read-only, on 127.0.0.1 only, no torch, everything compiled"
}

index() {
    compose run --rm -T -v "$work/people/bounding_box_test:/images:ro" vitreid \
        index /images --gallery /data/galleries/default 2>"$work/index.log" ||
        { cat "$work/index.log" >&2; fail "vitreid index failed"; }
}

# With BUNDLE any accuracy passes; the starter bundle must be right for more than half of the queries.
query() { python3 docker/query.py "$url" "$work/people" ${BUNDLE:+0}; }

size_of() { docker image inspect --format '{{.Size}}' "$1" | awk '{printf "%.0f MB", $1 / 1e6}'; }

check_tools
work=$(mktemp -d)
trap finish EXIT
chmod 755 "$work" # the container's user reads the images in it
compose down --volumes >/dev/null 2>&1 || true # left by an interrupted run

say "building vitreid:cpu"
begin=$(now)
compose build vitreid >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; fail "the build failed"; }
say "vitreid:cpu: $(size_of vitreid:cpu), built in $(since "$begin") s"

say "starting"
compose up -d >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2; fail "up failed"; }
wait_ready
wait_healthy
say "healthy; its log:"
compose logs --no-color vitreid >"$work/service.log"
grep '"message": "serving ' "$work/service.log" || fail "the log does not name what is served"
[ -n "${BUNDLE:-}" ] || grep -q '"message": ".*starter bundle' "$work/service.log" || fail "the log does not mention the starter bundle"
check_container

say "drawing twelve people, and indexing them while the service runs"
docker run --rm --read-only --tmpfs /tmp --user "$(id -u):$(id -g)" -v "$work:/out" --entrypoint python vitreid:cpu -c "
from pathlib import Path
from vitreid.synthetic import draw_dataset
draw_dataset(Path('/out/people'), identities=12, cameras=2, images=2, seed=11)"
chmod -R a+rX "$work/people"
index
index | tee "$work/again.log"
grep -q '^added 0 ' "$work/again.log" || fail "indexing the same images again added some"

say "querying"
query >"$work/before.json"
size=$(get /v1/info | python3 -c 'import json, sys; print(json.load(sys.stdin)["gallery"]["size"])')
[ "$size" = "$(find "$work/people/bounding_box_test" -name '*.jpg' | wc -l)" ] || fail "the gallery has $size images"

say "restarting"
compose restart >/dev/null 2>&1
wait_ready
query >"$work/after.json"
cmp "$work/before.json" "$work/after.json" || fail "the answers differ after a restart"

say "stopping, and starting a new container with the same volume"
compose stop >/dev/null 2>&1
code=$(docker inspect --format '{{.State.ExitCode}}' "$(container)")
[ "$code" = 0 ] || fail "the service exited with $code after a stop"
compose rm --force >/dev/null 2>&1
compose up -d >/dev/null 2>&1
wait_ready
query >"$work/after.json"
cmp "$work/before.json" "$work/after.json" || fail "the answers differ in a new container"

say "requiring keys"
key=$(compose run --rm -T vitreid keys create test --scope read 2>/dev/null)
status() { curl --silent --output /dev/null --write-out '%{http_code}' --noproxy '*' --max-time 20 "$@" "$url/v1/items"; }
[ "$(status)" = 401 ] || fail "a request without a key returns $(status), not 401"
[ "$(status -H "Authorization: Bearer $key")" = 200 ] || fail "a valid key is refused"
compose run --rm -T vitreid keys revoke "$(echo "$key" | cut -d_ -f2)" >/dev/null 2>&1
[ "$(status -H "Authorization: Bearer $key")" = 401 ] || fail "a revoked key is accepted"

if [ -n "${GPU:-}" ]; then
    say "building vitreid:gpu"
    docker build --quiet -f docker/service.Dockerfile --target gpu -t vitreid:gpu . >/dev/null
    docker run --rm vitreid:gpu --help >/dev/null
    docker run --rm --entrypoint python vitreid:gpu -c "
import faiss, onnxruntime
print('== faiss', faiss.__version__, 'onnxruntime', onnxruntime.__version__, *onnxruntime.get_available_providers())"
    say "vitreid:gpu: $(size_of vitreid:gpu)"
fi
say "passed"

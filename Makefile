# make demo   set everything up and run one night on the made-up town
# make test   set everything up and run every check
# make lint   ruff, mypy and the import rules alone
# make conformity   run the test cases of ISO/TR 17534-3 and write their page
# make benchmarks   measure speed and memory
# make long   hold the short way to judge noise to the long one, on every site of the demo town
# make lock   pin the dependencies again, after a change to pyproject.toml (needs uv)

UV ?= uv
# Tests in parallel: one worker per core, at most four (each may hold a town in memory).
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); [ "$$n" -lt 4 ] && echo "$$n" || echo 4)

.PHONY: demo test lint lock venv conformity benchmarks long

demo: venv
	.venv/bin/padfinder nightly --market demo

test: lint
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadscope

lint: venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

conformity: venv
	.venv/bin/padfinder conformity

benchmarks: venv
	.venv/bin/python -m pytest -m benchmark -s tests/benchmarks

long: venv
	.venv/bin/python -m pytest -m long

lock:
	$(UV) pip compile --universal --generate-hashes --python-version 3.11 --extra dev \
		--no-header --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

# Cheap when nothing changed: the script compares the lock with the one last installed.
venv:
	@.ci/venv

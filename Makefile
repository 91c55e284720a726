# make demo         set everything up and run one night on the invented town
# make test         set everything up, lint, and run the default tests
# make kernels      compile what the tests would otherwise compile once per worker
# make lint         run ruff, mypy and the import rules
# make format       format the code and apply the safe fixes of the lint rules
# make conformity   run the test cases of ISO/TR 17534-3 and write their page
# make benchmarks   measure speed and memory
# make long         run the slow tests: whole markets and brute-force searches
# make lock         pin the dependencies again after a change to pyproject.toml (needs uv)

UV ?= uv
# One test worker per core, at most four, since each may hold a town in memory.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); [ "$$n" -lt 4 ] && echo "$$n" || echo 4)

.PHONY: demo test lint kernels format lock venv conformity benchmarks long

demo: venv
	.venv/bin/padfinder nightly --market demo

# The kernels are compiled while the lint rules run: each takes a minute or two on one core.
test: venv
	@$(MAKE) --no-print-directory -j 2 lint kernels
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder

lint: venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

kernels: venv
	.venv/bin/python -m tests.compile_kernels

format: venv
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

conformity: venv
	.venv/bin/padfinder conformity

benchmarks: venv
	.venv/bin/python -m pytest -m benchmark -s tests/benchmarks

long: venv
	.venv/bin/python -m pytest -m long

lock:
	$(UV) pip compile --universal --generate-hashes --python-version 3.11 --extra dev \
		--no-header --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

# The script does nothing when the lock is the one last installed.
venv:
	@.ci/venv

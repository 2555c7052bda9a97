# The checks. `make check` is for every day; .ci/run runs every gate.
#
# Each gate builds what it needs, in a directory of its own below $(BUILD) where
# the flags differ, and fails when it found nothing to check.

GATES := check-tests check-model check-cli check-headers check-layers check-examples check-docs \
	check-install check-drivers check-clang check-conformance check-crash check-asan check-tsan \
	check-valgrind check-oom check-fuzz check-oracle check-cpp check-python check-node \
	check-bindings check-bindings-asan check-format

.PHONY: check check-built $(GATES) campaign

FUZZ_SECONDS ?= 10
ORACLE_COUNT ?= 20000

# A make for a build of its own: $(MAKE) $(call in,asan) all
in = --no-print-directory BUILD=$(BUILD)/$(1)
# Lines and functions in a report are enough, and take half the time to compile that all of -g takes.
SANITIZED_CFLAGS := -O1 -g1
# One PostgreSQL cluster for all programs of a run.
RUN_TESTS := $(WITH_CLUSTER) scripts/run-tests.sh

# The gates first, so that the total is the last line, but all of it in any
# case: one failing gate must not hide what the tests say.
check:
	@scripts/setup.sh --check
	@$(MAKE) --no-print-directory $(JOBS) check-built

check-built: all $(WITH_CLUSTER) $(TESTS) $(CHECKER)
	@failed=; \
	for gate in headers layers examples docs cli model tests; do \
		echo "check-$$gate"; \
		$(MAKE) --no-print-directory check-$$gate || failed="$$failed check-$$gate"; \
	done; \
	[ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

check-tests: $(WITH_CLUSTER) $(TESTS)
	@$(SLOWER) $(RUN_TESTS) $(TOGETHER) $(TESTS)

# The routing protocol in all interleavings, and that what it consists of is needed.
check-model: $(CHECKER)
	@$(CHECKER)

check-cli: $(BUILD)/flagver
	@tests/cli/run.sh $(BUILD)/flagver

# The program against a second implementation, in Python, on random definitions.
check-oracle: $(BUILD)/flagver
	@python3 tests/oracle/selftest.py
	@python3 tests/oracle/differential.py $(BUILD)/flagver --count $(ORACLE_COUNT) --quiet

check-headers: $(SHARED)
	@CC='$(CC)' scripts/check-headers.sh $(SHARED)

check-layers: $(LIB_OBJECTS)
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' scripts/check-layers.sh --self-test
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' scripts/check-layers.sh . $(BUILD)/obj

check-examples: $(WITH_CLUSTER) $(EXAMPLES)
	@$(WITH_CLUSTER) scripts/check-examples.sh $(EXAMPLES)

check-docs: all $(WITH_CLUSTER)
	@CC='$(CC)' BUILD='$(BUILD)' $(WITH_CLUSTER) scripts/check-docs.sh

check-install: all
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/check-install.sh

check-drivers:
	@PKG_CONFIG='$(PKG_CONFIG)' MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/check-drivers.sh

check-clang:
	@$(MAKE) $(call in,clang) CC=clang WERROR=1 everything

# As clang compiles it; what gcc makes of it is tested by `make check`.
check-asan:
	@$(MAKE) $(call in,clang-asan) CC=clang SANITIZE=address,undefined CFLAGS='$(SANITIZED_CFLAGS)' \
		SLOWER='CK_TIMEOUT_MULTIPLIER=10' TOGETHER=--together check-tests check-threads check-conformance

check-tsan:
	@$(MAKE) $(call in,tsan) SANITIZE=thread CFLAGS='$(SANITIZED_CFLAGS)' check-threads

# gcc's ThreadSanitizer cannot place its shadow memory where a kernel randomises
# addresses with many bits; without randomisation it always can.
.PHONY: check-threads
check-threads: $(WITH_CLUSTER) $(THREAD_TESTS)
	@fixed=; ! setarch -R true 2>/dev/null || fixed='setarch -R'; \
	CK_TIMEOUT_MULTIPLIER=10 $$fixed $(RUN_TESTS) $(THREAD_TESTS)

VALGRIND_TESTS := $(filter-out $(CLUSTER_TESTS),$(filter $(BUILD)/tests/unit/%,$(TESTS)))

check-valgrind: $(VALGRIND_TESTS)
	@scripts/run-tests.sh --valgrind $(VALGRIND_TESTS)

# The suite that every driver passes, on each of ours.
check-conformance: $(WITH_CLUSTER) $(CONFORMANCE_TESTS)
	@$(SLOWER) $(RUN_TESTS) $(CONFORMANCE_TESTS)

# Several processes, kill -9, failing stores and disks. FLAGVER_KILLS, FLAGVER_ROUTE_KILLS,
# FLAGVER_CORRUPTIONS, FLAGVER_COMPARED_ROWS, FLAGVER_TEST_CHANGES, FLAGVER_TEST_OPERATIONS and
# FLAGVER_TEST_SECONDS say how much.
check-crash: $(WITH_CLUSTER) $(CRASH_TESTS)
	@$(RUN_TESTS) $(CRASH_TESTS)

check-oom: $(WITH_CLUSTER) $(OOM_TESTS)
	@$(RUN_TESTS) $(OOM_TESTS)

# Bindings, in their own languages: each by itself, and that all of them answer alike.
BINDINGS := cpp python node
run_bindings = CC='$(CC)' FLAGVER_SANITIZE='$(SANITIZE)' scripts/bindings.sh $(1) $(SHARED)

check-cpp check-python check-node: check-%: $(SHARED) $(CLI)
	@$(call run_bindings,test) $*

check-bindings: check-cpp check-python check-node
	@$(call run_bindings,compare)

# With the real interpreters, which find nothing but what is ours.
check-bindings-asan:
	@$(MAKE) $(call in,asan) SANITIZE=address,undefined CFLAGS='$(SANITIZED_CFLAGS)' $(BINDINGS:%=check-%)

check-fuzz:
	@FUZZ_SECONDS='$(FUZZ_SECONDS)' SANITIZED_CFLAGS='$(SANITIZED_CFLAGS)' MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/check-fuzz.sh

# On both drivers: 10,000 kills of processes and 1,000 of PostgreSQL's server, 100,000 of processes
# that write through a migration, 10,000 rows spoiled behind a migration's back, ten million compared, a
# million acts of many clients, ten minutes of two tenants on the same keys.
campaign:
	@FLAGVER_KILLS=10000 FLAGVER_ROUTE_KILLS=100000 FLAGVER_TEST_CHANGES=50000 \
		FLAGVER_CORRUPTIONS=10000 FLAGVER_COMPARED_ROWS=10000000 \
		FLAGVER_TEST_OPERATIONS=1000000 FLAGVER_TEST_SECONDS=600 CK_TIMEOUT_MULTIPLIER=20 \
		PROGRAM_DEADLINE=172800 \
		$(MAKE) --no-print-directory check-crash
	@$(MAKE) --no-print-directory check-oracle ORACLE_COUNT=1000000
	@$(MAKE) --no-print-directory check-fuzz FUZZ_SECONDS=600

check-format:
	@clang-format --version
	@find include lib cli examples bench tests -name '*.[ch]' -exec \
		clang-format --style=file --dry-run -Werror {} +
	@find bindings/cpp -name '*.[ch]pp' -exec clang-format --style=file --dry-run -Werror {} +

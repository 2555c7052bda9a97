# libflagver: build and install. `make help` lists the targets.
#
# Everything that is made goes below $(BUILD), so builds with different
# compilers and flags live side by side:
#
#     make BUILD=build/clang CC=clang WERROR=1
#
# CC, CFLAGS, CPPFLAGS and LDFLAGS are the user's: what the project cannot do
# without is kept in other variables and added to them.

BUILD ?= build

prefix = /usr/local
exec_prefix = $(prefix)
bindir = $(exec_prefix)/bin
libdir = $(exec_prefix)/lib
includedir = $(prefix)/include
pkgconfigdir = $(libdir)/pkgconfig
man1dir = $(prefix)/share/man/man1
completionsdir = $(prefix)/share/bash-completion/completions
docdir = $(prefix)/share/doc/flagver
conformancedir = $(prefix)/share/flagver/conformance

PKG_CONFIG ?= pkg-config
AR ?= ar
INSTALL ?= install
CFLAGS ?= -O2 -g

# The version is written down once, in the public header.
VERSION := $(shell sed -n 's/^\#define FLAGVER_VERSION "\(.*\)"$$/\1/p' include/flagver/base.h)
SONAME := libflagver.so.$(firstword $(subst ., ,$(VERSION)))

all:

.PHONY: all everything install uninstall clean setup demo run-demo bench run-bench help FORCE
.DELETE_ON_ERROR:
.SECONDARY: # objects stay, or every run would compile them again
.SUFFIXES:

ifneq ($(filter . ./ .. / ~,$(BUILD)),)
$(error BUILD=$(BUILD) is no directory for builds: `make clean` removes it)
endif

# ---------------------------------------------------------------------------
# Libraries of others

JANSSON_CFLAGS := $(shell $(PKG_CONFIG) --cflags jansson 2>/dev/null)
JANSSON_LIBS := $(shell $(PKG_CONFIG) --libs jansson 2>/dev/null)
CHECK_CFLAGS := $(shell $(PKG_CONFIG) --cflags check 2>/dev/null)
CHECK_LIBS := $(shell $(PKG_CONFIG) --libs check 2>/dev/null)
CRYPTO_CFLAGS := $(shell $(PKG_CONFIG) --cflags libcrypto 2>/dev/null)
CRYPTO_LIBS := $(shell $(PKG_CONFIG) --libs libcrypto 2>/dev/null)
SQLITE_CFLAGS := $(shell $(PKG_CONFIG) --cflags sqlite3 2>/dev/null)
SQLITE_LIBS := $(shell $(PKG_CONFIG) --libs sqlite3 2>/dev/null)
PQ_CFLAGS := $(shell $(PKG_CONFIG) --cflags libpq 2>/dev/null)
PQ_LIBS := $(shell $(PKG_CONFIG) --libs libpq 2>/dev/null)

# A driver whose library is not there is left out. (Most tests and the benchmarks want SQLite.)
comma := ,
MISSING_DRIVERS := $(strip $(if $(SQLITE_LIBS),,sqlite) $(if $(PQ_LIBS),,postgres))
WITHOUT := $(MISSING_DRIVERS:%=-DFV_WITHOUT_%)

# ---------------------------------------------------------------------------
# What there is. New files in these folders are picked up by themselves.

LIB_SOURCES := $(filter-out $(foreach name,$(MISSING_DRIVERS),lib/driver/$(name).c \
	lib/driver/$(name)_%.c),$(sort $(wildcard lib/*/*.c)))
CLI_SOURCES := $(sort $(wildcard cli/*.c))
BENCH_SOURCES := $(filter-out $(if $(filter postgres,$(MISSING_DRIVERS)),bench/postgres.c bench/pq.c), \
	$(sort $(wildcard bench/*.c)))
HEADERS := $(sort $(wildcard include/flagver/*.h))
MANUALS := $(sort $(wildcard docs/*.1))
# What the headers call docs/flags.md, and the schema for editors.
DOCUMENTS := $(sort $(wildcard docs/*.md)) docs/definitions.schema.json
# What they link to.
EXAMPLE_FILES := $(sort $(wildcard examples/*.[ch] examples/*.json))
EXAMPLE_DRIVERS := $(sort $(wildcard examples/drivers/*.[ch]))

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
program = $(patsubst %.c,$(BUILD)/%,$(1))

LIB_OBJECTS := $(call object,$(LIB_SOURCES))
# What enlists has the library of its database in its own hands.
NEEDS_sqlite := examples/enlist.c examples/moving_table_postgres.c
NEEDS_postgres := $(wildcard examples/*_postgres.c)
EXAMPLES := $(call program,$(filter-out $(foreach name,$(MISSING_DRIVERS),$(NEEDS_$(name))), \
	$(sort $(wildcard examples/*.c))))
# Those of a driver that is left out are left out too.
tests_in = $(call program,$(filter-out $(MISSING_DRIVERS:%=$(1)/test_%.c) \
	$(foreach name,$(MISSING_DRIVERS),$(1)/test_$(name)_%.c),$(sort $(wildcard $(1)/test_*.c))))
TESTS := $(call tests_in,tests/unit) $(call tests_in,tests/property)
OOM_TESTS := $(call tests_in,tests/oom)
THREAD_TESTS := $(call tests_in,tests/thread)
CONFORMANCE_TESTS := $(call tests_in,tests/conformance)
CONFORMANCE := $(filter-out tests/conformance/test_%,$(sort $(wildcard tests/conformance/*.[ch])))
CRASH_TESTS := $(call tests_in,tests/crash)
CHECKER := $(BUILD)/tests/model/route_checker
FUZZERS := $(call program,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
REPLAYS := $(patsubst $(BUILD)/tests/fuzz/fuzz_%,$(BUILD)/tests/fuzz/replay_%,$(FUZZERS))

STATIC := $(BUILD)/libflagver.a
SHARED := $(BUILD)/libflagver.so
CLI := $(if $(CLI_SOURCES),$(BUILD)/flagver)
BENCH := $(if $(BENCH_SOURCES),$(BUILD)/bench)

# ---------------------------------------------------------------------------
# Flags

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wundef $(if $(WERROR),-Werror)

# SANITIZE=address,undefined or SANITIZE=thread; the gates in mk/checks.mk use it.
SANITIZERS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer)

# gcc clears and copies small structures by `rep stos` and `rep movs`, which take as long to begin as dozens of
# stores: a third of an evaluation, or of a routed read. Not every compiler and processor has these options.
INLINED := unrolled_loop:256:noalign,libcall:-1:noalign
INLINED := -mmemset-strategy=$(INLINED) -mmemcpy-strategy=$(INLINED)
TUNING := $(if $(shell $(CC) $(INLINED) -Werror -E -xc /dev/null >/dev/null 2>&1 && echo yes),$(INLINED))

# What the static library needs at link time; the .pc file says the same.
LIB_LIBS := $(JANSSON_LIBS) $(SQLITE_LIBS) $(PQ_LIBS) $(CRYPTO_LIBS) -lm -pthread

COMPILE = $(CC) -std=c11 $(WARNINGS) $(TUNING) -Iinclude $(FOLDER_FLAGS) -fPIC -pthread -MMD -MP \
	$(CPPFLAGS) $(CFLAGS) $(SANITIZERS)
LINK = $(CC) $(CFLAGS) $(SANITIZERS) $(LDFLAGS)

# Only lib/ and its tests may see lib/: the program, the examples and the
# benchmarks are clients like any other. (Private, or $(BUILD)/flags would get
# the value of whichever file asked for it first.)
$(BUILD)/obj/lib/%.o: private FOLDER_FLAGS = -Ilib -fvisibility=hidden
$(BUILD)/obj/lib/codec/%.o: private FOLDER_FLAGS = -Ilib -fvisibility=hidden $(JANSSON_CFLAGS)
$(BUILD)/obj/lib/crypto/%.o: private FOLDER_FLAGS = -Ilib -fvisibility=hidden $(CRYPTO_CFLAGS)
$(BUILD)/obj/lib/driver/%.o: private FOLDER_FLAGS = -Ilib -fvisibility=hidden $(SQLITE_CFLAGS) \
	$(PQ_CFLAGS)
$(BUILD)/obj/lib/api/drivers.o: private FOLDER_FLAGS = -Ilib -fvisibility=hidden $(WITHOUT)
$(BUILD)/obj/tests/%.o: private FOLDER_FLAGS = -Ilib -Itests $(CHECK_CFLAGS) $(JANSSON_CFLAGS) \
	$(SQLITE_CFLAGS) $(PQ_CFLAGS) $(CRYPTO_CFLAGS) $(WITHOUT)
# What third parties compile too: it sees what they see.
$(BUILD)/obj/tests/conformance/%.o: private FOLDER_FLAGS = -Itests $(CHECK_CFLAGS)
$(BUILD)/obj/bench/%.o: private FOLDER_FLAGS = -Itests $(CRYPTO_CFLAGS) $(SQLITE_CFLAGS) $(PQ_CFLAGS) \
	$(WITHOUT)
$(BUILD)/obj/examples/%.o: private FOLDER_FLAGS = $(PQ_CFLAGS)

# -z nodelete: threads keep a destructor of ours, so the code must stay mapped
# when a host unloads the plugin that brought us in. -z defs: nothing undefined
# (sanitizers leave their symbols to the program, so not there).
SHARED_FLAGS = -shared -Wl,-soname,$(SONAME) -Wl,--version-script,lib/libflagver.map \
	-Wl,-z,nodelete -Wl,-Bsymbolic-functions $(if $(SANITIZE),,-Wl,-z,defs)

# `make` says one line per file, `make V=1` the whole command.
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' '$(1)' '$@')

# A file that changes only when its text does: what depends on it is made again
# when flags change, or when a source file has come or gone.
define stamp
@mkdir -p $(@D)
@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' > $@
endef

$(BUILD)/flags: FORCE
	@for package in jansson libcrypto; do $(PKG_CONFIG) --exists $$package || \
		{ echo "$$package is not there; scripts/setup.sh installs what is missing" >&2; exit 1; }; done
	@[ '$(words $(MISSING_DRIVERS))' -lt 2 ] || \
		{ echo "neither sqlite3 nor libpq is there; scripts/setup.sh installs them" >&2; exit 1; }
	@[ -z '$(MISSING_DRIVERS)' ] || \
		echo "without the driver for $(MISSING_DRIVERS), whose library is not there"
	$(call stamp,$(COMPILE) / $(LINK) $(SHARED_FLAGS) / $(LIB_LIBS) $(CHECK_LIBS) / \
		$(JANSSON_CFLAGS) $(CHECK_CFLAGS) $(CRYPTO_CFLAGS) $(SQLITE_CFLAGS) $(PQ_CFLAGS) $(WITHOUT))

$(BUILD)/objects: FORCE
	$(call stamp,$(LIB_OBJECTS))

# ---------------------------------------------------------------------------
# The library and the program

all: $(STATIC) $(SHARED) $(CLI) $(EXAMPLES) $(if $(CLI),$(BUILD)/install/flagver)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(COMPILE) -c -o $@ $<

$(STATIC): $(LIB_OBJECTS) $(BUILD)/objects
	$(call say,AR)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(LIB_OBJECTS)

$(SHARED).$(VERSION): $(LIB_OBJECTS) $(BUILD)/objects lib/libflagver.map
	$(call say,LINK)
	$(Q)$(LINK) $(SHARED_FLAGS) -o $@ $(LIB_OBJECTS) $(LIB_LIBS)

$(SHARED): $(SHARED).$(VERSION)
	$(Q)ln -sf libflagver.so.$(VERSION) $(BUILD)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

# A program finds the library beside it ($ORIGIN) as long as it is in $(BUILD);
# the one to install carries no such path.
LINK_SHARED = $(LINK) -o $@ $(filter %.o,$^) -L$(BUILD) -lflagver

$(BUILD)/flagver: $(call object,$(CLI_SOURCES)) $(SHARED)
	$(call say,LINK)
	$(Q)$(LINK_SHARED) -Wl,-rpath,'$$ORIGIN' $(JANSSON_LIBS)

$(BUILD)/install/flagver: $(call object,$(CLI_SOURCES)) $(SHARED)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK_SHARED) $(JANSSON_LIBS)

$(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(SHARED)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK_SHARED) $(EXAMPLE_LIBS) -pthread -Wl,-rpath,'$$ORIGIN/..'

# What an application brings along itself.
$(BUILD)/examples/enlist: private EXAMPLE_LIBS = $(SQLITE_LIBS)
$(BUILD)/examples/%_postgres: private EXAMPLE_LIBS = $(PQ_LIBS)
$(BUILD)/examples/moving_table_postgres: private EXAMPLE_LIBS = $(PQ_LIBS) $(SQLITE_LIBS)
$(BUILD)/obj/examples/%_postgres.o: private FOLDER_FLAGS = $(PQ_CFLAGS)
$(BUILD)/examples/json_driver: private EXAMPLE_LIBS = $(JANSSON_LIBS)

$(BUILD)/bench: $(call object,$(BENCH_SOURCES)) $(SHARED)
	$(call say,LINK)
	$(Q)$(LINK_SHARED) -pthread -Wl,-rpath,'$$ORIGIN' $(JANSSON_LIBS) $(CRYPTO_LIBS) $(SQLITE_LIBS) \
		$(PQ_LIBS) -lm

# ---------------------------------------------------------------------------
# Tests: linked with the static library, where the fv_ functions can be reached

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(STATIC)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(STATIC) $(LIB_LIBS) $(CHECK_LIBS)

$(OOM_TESTS): $(BUILD)/obj/tests/oom/failing_malloc.o

# All interleavings of the routing protocol, with the library's own decisions.
$(CHECKER): $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/model/*.c)))

# The suite that every driver passes, and the driver that fails on demand.
$(CONFORMANCE_TESTS) $(CRASH_TESTS): $(patsubst %.c,$(BUILD)/obj/%.o,$(filter %.c,$(CONFORMANCE)))

# Stores of every kind, the example driver inside the one that fails on demand among them.
STORE_TESTS := $(call program,$(shell grep -lE '"(stores|records|steps|conformance/fault|../examples/drivers/jsonfile).h"' tests/*/test_*.c))
$(STORE_TESTS): $(BUILD)/obj/examples/drivers/jsonfile.o $(BUILD)/obj/tests/conformance/fault.o

# Clusters of PostgreSQL, of their own.
ifeq ($(filter postgres,$(MISSING_DRIVERS)),)
CLUSTER_TESTS := $(call program,$(shell grep -lE '"(cluster|postgres_[a-z]+).h"' tests/*/test_*.c))
WITH_CLUSTER := $(BUILD)/tests/with_cluster
$(sort $(STORE_TESTS) $(CLUSTER_TESTS)) $(WITH_CLUSTER) $(BENCH): $(BUILD)/obj/tests/cluster.o
endif

# The same targets twice: driven by libFuzzer, and by our own main over files.
$(FUZZERS): $(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(STATIC)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(STATIC) $(LIB_LIBS)

$(REPLAYS): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o \
		$(BUILD)/obj/tests/fuzz/replay.o $(STATIC)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(STATIC) $(LIB_LIBS)

# All that compiles without libFuzzer.
everything: all $(TESTS) $(CHECKER) $(OOM_TESTS) $(THREAD_TESTS) $(CONFORMANCE_TESTS) \
	$(CRASH_TESTS) $(REPLAYS) $(BENCH)

# ---------------------------------------------------------------------------
# Install

install: all
	$(INSTALL) -d $(DESTDIR)$(libdir) $(DESTDIR)$(pkgconfigdir) $(DESTDIR)$(includedir)/flagver
	$(INSTALL) -m 644 include/flagver.h $(DESTDIR)$(includedir)
	$(INSTALL) -m 644 $(HEADERS) bindings/cpp/flagver.hpp $(DESTDIR)$(includedir)/flagver
	$(INSTALL) -m 644 $(STATIC) $(DESTDIR)$(libdir)
	$(INSTALL) -m 755 $(SHARED).$(VERSION) $(DESTDIR)$(libdir)
	ln -sf libflagver.so.$(VERSION) $(DESTDIR)$(libdir)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(libdir)/libflagver.so
	sed -e 's|@prefix@|$(prefix)|' -e 's|@exec_prefix@|$(exec_prefix)|' \
	    -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
	    -e 's|@version@|$(VERSION)|' -e 's|@conformancedir@|$(conformancedir)|' \
	    -e 's|@sqlite@|$(if $(SQLITE_LIBS), sqlite3$(comma))|' -e 's|@libpq@|$(PQ_LIBS)|' \
	    pkgconfig/flagver.pc.in > $(DESTDIR)$(pkgconfigdir)/flagver.pc
	chmod 644 $(DESTDIR)$(pkgconfigdir)/flagver.pc
	$(INSTALL) -d $(DESTDIR)$(docdir)
	$(INSTALL) -m 644 $(DOCUMENTS) $(DESTDIR)$(docdir)
	@# Beside the examples in the tree, above them here.
	sed -i 's|](\.\./examples/|](examples/|g' $(addprefix $(DESTDIR)$(docdir)/,$(notdir $(DOCUMENTS)))
	$(INSTALL) -d $(DESTDIR)$(docdir)/examples/drivers
	$(INSTALL) -m 644 $(EXAMPLE_FILES) $(DESTDIR)$(docdir)/examples
	$(INSTALL) -m 644 $(EXAMPLE_DRIVERS) $(DESTDIR)$(docdir)/examples/drivers
	$(INSTALL) -d $(DESTDIR)$(conformancedir)
	$(INSTALL) -m 644 $(CONFORMANCE) $(DESTDIR)$(conformancedir)
ifneq ($(CLI),)
	$(INSTALL) -d $(DESTDIR)$(bindir) $(DESTDIR)$(man1dir) $(DESTDIR)$(completionsdir)
	$(INSTALL) -m 755 $(BUILD)/install/flagver $(DESTDIR)$(bindir)
	$(INSTALL) -m 644 $(MANUALS) $(DESTDIR)$(man1dir)
	$(INSTALL) -m 644 completions/flagver.bash $(DESTDIR)$(completionsdir)/flagver
endif
	@# Programs find a library in /usr/local/lib only once ldconfig has seen it.
	@[ -n "$(DESTDIR)" ] || PATH="$$PATH:/usr/sbin:/sbin" ldconfig 2>/dev/null || true

uninstall:
	rm -f $(DESTDIR)$(includedir)/flagver.h \
	    $(addprefix $(DESTDIR)$(includedir)/,$(HEADERS:include/%=%) flagver/flagver.hpp) \
	    $(DESTDIR)$(libdir)/libflagver.a $(DESTDIR)$(libdir)/libflagver.so \
	    $(DESTDIR)$(libdir)/$(SONAME) $(DESTDIR)$(libdir)/libflagver.so.$(VERSION) \
	    $(DESTDIR)$(pkgconfigdir)/flagver.pc $(DESTDIR)$(bindir)/flagver \
	    $(DESTDIR)$(completionsdir)/flagver \
	    $(addprefix $(DESTDIR)$(man1dir)/,$(notdir $(MANUALS))) \
	    $(addprefix $(DESTDIR)$(docdir)/,$(notdir $(DOCUMENTS)) $(EXAMPLE_FILES) $(EXAMPLE_DRIVERS)) \
	    $(addprefix $(DESTDIR)$(conformancedir)/,$(notdir $(CONFORMANCE)))
	[ ! -d $(DESTDIR)$(conformancedir) ] || \
	    rmdir $(DESTDIR)$(conformancedir) $(DESTDIR)$(dir $(conformancedir))
	[ ! -d $(DESTDIR)$(docdir)/examples ] || \
	    rmdir $(DESTDIR)$(docdir)/examples/drivers $(DESTDIR)$(docdir)/examples
	[ ! -d $(DESTDIR)$(docdir) ] || rmdir $(DESTDIR)$(docdir)
	[ ! -d $(DESTDIR)$(includedir)/flagver ] || rmdir $(DESTDIR)$(includedir)/flagver

clean:
	rm -rf $(BUILD)

# ---------------------------------------------------------------------------
# For people

setup:
	@scripts/setup.sh

# On all processors, unless the user said how many.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# make looks for libraries when it starts, so what setup installs is seen by the
# make after it.
demo: setup
	@$(MAKE) --no-print-directory $(JOBS) run-demo

run-demo: $(BUILD)/examples/demo
	@$(BUILD)/examples/demo

bench:
	@scripts/setup.sh --bench
	@$(MAKE) --no-print-directory $(JOBS) run-bench

run-bench: $(BENCH) $(SHARED)
	$(BENCH)
	@$(call run_bindings,bench) $(BINDINGS)

help:
	@echo "make              the library, the program and the examples, in $(BUILD)/"
	@echo "make demo         install what is missing, build, run examples/demo.c"
	@echo "make check        install what is missing, build, run the tests"
	@echo "make install      also uninstall; prefix=$(prefix) DESTDIR=$(DESTDIR)"
	@echo "make bench        the benchmarks"
	@echo "make check-bindings  Python, Node.js and C++; scripts/setup.sh --bindings installs what they take"
	@echo "make campaign     the long runs: ten thousand kills, random definitions, fuzzing"
	@echo "make clean        remove $(BUILD)/"
	@echo "Single gates: $(GATES)"
	@echo "Variables: CC CFLAGS CPPFLAGS LDFLAGS BUILD WERROR=1 SANITIZE=… V=1 prefix libdir …"

include mk/checks.mk

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

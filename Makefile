# SPDX-License-Identifier: Apache-2.0
# gridmount. `make` builds, `make demo` shows it, `make check` tests it; `make help` lists the rest.
#
#   DEVELOPER=1                  -Werror and a long list of warnings
#   SANITIZE=address,undefined   builds with sanitizers in a folder of its own
#   SANITIZE=thread
#   SUITE=trixie|testing CC=gcc|clang   the release and compiler of `make check-debian`
#   SERVER=secantus|secantus-rs|ferretdb|default   what `make check-mount` runs against

MAKEFLAGS += --no-builtin-rules
CC = gcc
PYTHON = build/venv/bin/python
comma = ,
empty =
OUT = build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))$(if $(DEVELOPER),/developer)

CFLAGS = -O2 -g
JOBS := $(shell nproc 2>/dev/null || echo 2)
# No folder of this machine gets into the binary.
ALWAYS = -ffile-prefix-map=$(CURDIR)=. -std=gnu17 -D_GNU_SOURCE -I. -MMD -MP -pthread -fno-strict-aliasing -fstack-protector-strong -Wall -Wextra
CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null))
# clang knows the first, but not the comments by which uthash says that it means it.
ONLY_GCC = -Wimplicit-fallthrough -Wvla-larger-than=8192 -Wlogical-op -Wduplicated-cond -Wduplicated-branches
ifdef DEVELOPER
ALWAYS += -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wwrite-strings -Wcast-qual -Wformat=2 -Wundef -Wnull-dereference -Wno-cast-qual -Wno-unused-result
ALWAYS += $(if $(CLANG),,$(ONLY_GCC))
endif
ifdef SANITIZE
ALWAYS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -DLOCK_DEBUG
LDFLAGS += -fsanitize=$(SANITIZE)
endif

# ---- layers: a folder is an archive; only fs/store/mongo sees libmongoc, only fs/fuse sees libfuse ----

MONGOC = $(shell pkg-config --exists mongoc2 && echo mongoc2 || echo libmongoc-1.0)
MONGOC_CFLAGS := $(shell pkg-config --cflags $(MONGOC))
FUSE_CFLAGS := $(shell pkg-config --cflags fuse3)
LIBS = $(shell pkg-config --libs $(MONGOC) fuse3 libcrypto libxxhash libmicrohttpd) -lm

LAYERS = fs fs/tools fs/fuse fs/vfs cache fs/store/mongo fs/store cache/base
objects = $(patsubst %.c,$(OUT)/%.o,$(wildcard $(1)/*.c))
archive = $(OUT)/lib/$(subst /,-,$(1)).a
ARCHIVES = $(foreach layer,$(filter-out fs,$(LAYERS)),$(call archive,$(layer)))

all: $(OUT)/gridmount

$(OUT)/gridmount: $(call objects,fs) $(ARCHIVES)
	@echo "  ld $@"
	@$(CC) $(LDFLAGS) -pthread -o $@ $(call objects,fs) $(ARCHIVES) $(LIBS)

define layer_rule
$$(call archive,$(1)): $$(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach layer,$(filter-out fs,$(LAYERS)),$(eval $(call layer_rule,$(layer))))

$(OUT)/fs/store/mongo/%.o: EXTRA = $(MONGOC_CFLAGS)
$(OUT)/fs/fuse/%.o: EXTRA = $(FUSE_CFLAGS)

$(OUT)/fs/page.o: fs/page.html

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc $<"
	@$(CC) $(ALWAYS) $(CFLAGS) $(EXTRA) -c -o $@ $<

# ---- installing; the manual and the completions are made from what the binary says of itself ----

PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man
UNITDIR = $(PREFIX)/lib/systemd/system
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
INSTALL = install

VERSION := $(shell sed -n 's/.*GRIDMOUNT_VERSION "\(.*\)"/\1/p' fs/version.h)
# Of the last commit, or of the release that a tarball is.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y fs/version.h)
MADE = $(patsubst packaging/%.in,$(OUT)/share/%,$(wildcard packaging/man/*.in packaging/completion/*.in))

docs: $(MADE)

$(OUT)/share/help: $(OUT)/gridmount
	@mkdir -p $(@D)
	@$< --help >$@.part && mv $@.part $@

$(OUT)/share/%: packaging/%.in $(OUT)/share/help packaging/from-help.awk fs/store/check.def
	@mkdir -p $(@D)
	@awk -v version=$(VERSION) -v date=$$(date -u -d @$(SOURCE_DATE_EPOCH) +%Y-%m-%d) -f packaging/from-help.awk \
		$(OUT)/share/help fs/store/check.def $< >$@.part && mv $@.part $@

install: all docs
	$(INSTALL) -D -m 755 $(OUT)/gridmount $(DESTDIR)$(BINDIR)/gridmount
	$(INSTALL) -d $(DESTDIR)$(SBINDIR)
	ln -sf $(shell realpath -m -s --relative-to=$(SBINDIR) $(BINDIR)/gridmount) $(DESTDIR)$(SBINDIR)/mount.gridfs
	$(INSTALL) -D -m 644 -t $(DESTDIR)$(MANDIR)/man1 $(OUT)/share/man/gridmount.1
	$(INSTALL) -D -m 644 -t $(DESTDIR)$(MANDIR)/man8 $(OUT)/share/man/gridmount-fsck.8 $(OUT)/share/man/mount.gridfs.8
	$(INSTALL) -D -m 644 $(OUT)/share/completion/gridmount.bash $(DESTDIR)$(BASHDIR)/gridmount
	$(INSTALL) -D -m 644 $(OUT)/share/completion/gridmount.zsh $(DESTDIR)$(ZSHDIR)/_gridmount
	$(if $(UNITS_OF_SYSTEMD),$(INSTALL) -D -m 644 -t $(DESTDIR)$(UNITDIR) $(UNITS_OF_SYSTEMD))
	$(if $(UNITS_OF_SYSTEMD),sed -i 's|/usr/bin/gridmount|$(BINDIR)/gridmount|' $(UNITS_OF_SYSTEMD:packaging/systemd/%=$(DESTDIR)$(UNITDIR)/%))

UNITS_OF_SYSTEMD = $(wildcard packaging/systemd/*.service)

# The last commit, as a tarball and as a package. Both are the same bytes wherever they are made.
DIST = build/gridmount-$(VERSION).tar.xz
dist:
	@mkdir -p build
	@git -c tar.umask=0022 archive --prefix=gridmount-$(VERSION)/ HEAD | xz -9 -T1 >$(DIST).part
	@mv $(DIST).part $(DIST)
	@echo "$(DIST)"

DEB_TREE = build/deb/gridmount-$(VERSION)
deb: dist
	@rm -rf build/deb
	@mkdir -p build/deb
	@tar -C build/deb -xf $(DIST)
	@cp -r $(DEB_TREE)/packaging/deb $(DEB_TREE)/debian
	@sed -e 's/@VERSION@/$(VERSION)/' -e "s/@DATE@/$$(date -u -R -d @$(SOURCE_DATE_EPOCH))/" packaging/deb/changelog.in >$(DEB_TREE)/debian/changelog
	@rm $(DEB_TREE)/debian/changelog.in
	@cd $(DEB_TREE) && env -u MAKEFLAGS -u MAKELEVEL -u DESTDIR -u PREFIX SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) \
		dpkg-buildpackage -us -uc -b >../build.log 2>&1 || { tail -40 ../build.log; exit 1; }
	@lintian --fail-on error,warning --tag-display-limit 0 build/deb/*.changes
	@ls build/deb/*.deb

# ---- tests ----

UNITS = $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
FAKES = $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/fake/*.c))

$(OUT)/tests/unit/%.o: EXTRA = $(MONGOC_CFLAGS)

PARTS = $(filter-out $(OUT)/fs/main.o,$(call objects,fs))
$(OUT)/unit/%: $(OUT)/tests/unit/%.o $(FAKES) $(PARTS) $(ARCHIVES)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -pthread -o $@ $< $(FAKES) $(PARTS) $(ARCHIVES) $(LIBS) -lcmocka

# Programs that ask a real server; tests/mount/test_store.py starts them with one.
STORE_TESTS = $(patsubst tests/store/%.c,$(OUT)/store/%,$(wildcard tests/store/test_*.c))
STORE_SHARED = $(patsubst %.c,$(OUT)/%.o,$(filter-out tests/store/test_%,$(wildcard tests/store/*.c)))

$(OUT)/tests/store/%.o: EXTRA = $(MONGOC_CFLAGS)

$(OUT)/store/%: $(OUT)/tests/store/%.o $(STORE_SHARED) $(PARTS) $(ARCHIVES)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -pthread -o $@ $< $(STORE_SHARED) $(PARTS) $(ARCHIVES) $(LIBS) -lcmocka

.SECONDARY:

# With -j several at a time: some of them do little else than wait.
RUN_UNITS = $(UNITS:%=run-%)
UNIT_REPORT = build/reports/unit-$(@F)$(subst /,-,$(OUT:build%=%)).xml

check-unit: $(RUN_UNITS)
	@echo "units: $(words $(UNITS)) programs passed$(if $(SANITIZE), under $(SANITIZE))"

$(RUN_UNITS): run-%: %
	@mkdir -p build/reports
	@rm -f $(UNIT_REPORT)
	@CMOCKA_MESSAGE_OUTPUT=xml CMOCKA_XML_FILE=$(UNIT_REPORT) $< || { echo "$< failed:"; $<; exit 1; }

layers:
	@python3 tests/layers.py $(LAYERS)
	@python3 tests/licences.py

# Writes the line of the licence into source files that have none.
add-licences:
	@python3 tests/licences.py --add

# Each header compiles alone, first in its file.
headers:
	@for header in $$(find cache fs -name '*.h'); do \
		$(CC) $(ALWAYS) -Wno-unused-function $(MONGOC_CFLAGS) $(FUSE_CFLAGS) -MF /dev/null -fsyntax-only -x c $$header || exit 1; \
	done
	@echo "headers: each compiles alone"

store-tests: $(STORE_TESTS)

SERVER = default
TESTS = tests/mount
REPORT = build/reports/mount-$(SERVER)$(subst /,-,$(OUT:build%=%)).xml
check-mount: $(OUT)/gridmount $(if $(findstring test_store,$(TESTS))$(filter-out tests/mount/test_%,$(TESTS)),$(STORE_TESTS))
	@mkdir -p build/reports
	TSAN_OPTIONS=report_thread_leaks=0:suppressions=$(CURDIR)/tests/tsan.supp \
		GRIDMOUNT_BINARY=$(CURDIR)/$(OUT)/gridmount $(PYTHON) -m pytest $(TESTS) -q --server=$(SERVER) \
		--junitxml=$(REPORT) $(PYTEST)

# ---- fuzzing: what others write is parsed by pure functions ----

SECONDS = 60
FUZZED = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SOURCES = $(wildcard cache/base/*.c cache/readahead.c fs/store/*.c fs/store/mongo/document.c) \
	$(wildcard cache/staging.c cache/staged*.c cache/content.c cache/blocks.c cache/spill.c cache/extents.c) \
	cache/whole.c cache/journal_codec.c cache/journal_record.c fs/vfs/unstored.c fs/vfs/marks.c \
	tests/fake/staged_model.c \
	fs/store/mongo/identity.c fs/store/mongo/change_event.c fs/store/mongo/files_document.c fs/store/mongo/xattr_document.c \
	fs/store/mongo/xattr_field.c fs/store/mongo/value_order.c fs/store/mongo/hold_document.c \
	fs/options.c fs/complain.c fs/user.c fs/memory_limit.c

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_SOURCES)
	@mkdir -p $(@D)
	@echo "  clang $@"
	@clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -std=gnu17 -D_GNU_SOURCE -I. \
		$(MONGOC_CFLAGS) -pthread -o $@ $^ $(shell pkg-config --libs $(MONGOC) libcrypto) -lm

# New inputs go to build/fuzz; what is found stays in tests/fuzz/corpus as a fixture.
fuzz: $(FUZZED:%=fuzz-%)

fuzz-%: build/fuzz/fuzz_%
	@mkdir -p build/fuzz/corpus/$*
	@build/fuzz/fuzz_$* -max_total_time=$(SECONDS) -timeout=30 -rss_limit_mb=1500 -verbosity=0 -print_final_stats=0 \
		-artifact_prefix=build/fuzz/$*- build/fuzz/corpus/$* tests/fuzz/corpus/$*
	@echo "fuzz: $*, $(SECONDS) s, nothing found"

# ---- benchmarks: ratios from one interleaved run; see tests/bench/README.md ----

BENCHES = $(patsubst tests/bench/%.c,build/bench/%,$(wildcard tests/bench/*.c))
build/bench/%: tests/bench/%.c tests/bench/measure.h
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 -D_GNU_SOURCE -I. -Itests/bench -Wall -Wextra $(CFLAGS) $(MONGOC_CFLAGS) -pthread -o $@ $< \
		$(shell pkg-config --libs $(MONGOC))

bench: bootstrap-check
	@$(MAKE) --no-print-directory all $(BENCHES)
	@$(PYTHON) tests/bench/bench.py $(BENCH)
	@[ ! -f build/bench/table.json ] || $(MAKE) --no-print-directory bench-plots

bench-plots: build/venv/requirements-bench.txt
	@$(PYTHON) tests/bench/plots.py

build/venv/requirements-%.txt: tests/%/requirements.txt
	@build/venv/bin/pip install --quiet --disable-pip-version-check -c tests/requirements.txt -r $<
	@cp $< $@

# What it computes without measuring.
check-bench:
	@mkdir -p build/reports
	@$(PYTHON) -m pytest tests/bench -q -p no:cacheprovider --junitxml=build/reports/bench.xml

# BASE=REVISION: this tree against that one, interleaved. BENCH="--only TOPIC --rounds N" chooses.
bench-compare: bootstrap-check
	@[ -n '$(BASE)' ] || { echo 'make bench-compare BASE=REVISION'; exit 2; }
	@$(MAKE) --no-print-directory all $(BENCHES)
	@$(PYTHON) tests/bench/compare.py '$(BASE)' $(BENCH)

# What others write once more with a sanitized binary.
SANITIZED_TESTS = $(addprefix tests/mount/,test_hostile.py test_hostile_records.py test_integrity.py test_ids.py test_cache.py test_write.py)

# And what many threads and hosts do at once, with one that sees each race.
THREADS_TESTS = $(addprefix tests/mount/,test_storms.py test_coherence.py test_readers.py test_locks.py test_page.py test_warm.py)

# ---- the two commands of the README, and what takes longer ----

bootstrap-%:
	@packaging/bootstrap $*

# Sub-makes, because what they build with is only there after the bootstrap.
demo: bootstrap-demo
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(PYTHON) packaging/demo

check: bootstrap-check bootstrap-monitoring
	@$(MAKE) --no-print-directory -j$(JOBS) all layers headers check-unit store-tests
	@$(MAKE) --no-print-directory -j$(JOBS) DEVELOPER=1 all
	@$(MAKE) --no-print-directory -j$(JOBS) SANITIZE=address,undefined all check-unit
	@$(MAKE) --no-print-directory -j$(JOBS) SANITIZE=thread all check-unit
	@$(MAKE) --no-print-directory -j$(JOBS) $(FUZZED:%=build/fuzz/fuzz_%)
	@$(MAKE) --no-print-directory -j$(words $(FUZZED)) fuzz
	@$(MAKE) --no-print-directory check-bench check-install
	@$(MAKE) --no-print-directory -j2 mount-runs

# Two side by side, since each is idle for a third of its time; the longest first. A line begins with whose it is.
MOUNT_RUNS = $(if $(wildcard build/ferretdb),mount-run-ferretdb) mount-run-default mount-run-threads mount-run-sanitized
mount-run-default: RUN =
mount-run-ferretdb: RUN = SERVER=ferretdb
mount-run-threads: RUN = SANITIZE=thread TESTS='$(THREADS_TESTS)'
mount-run-sanitized: RUN = SANITIZE=address,undefined TESTS='$(SANITIZED_TESTS)'
mount-runs: $(MOUNT_RUNS)
$(MOUNT_RUNS): SHELL = /bin/bash
$(MOUNT_RUNS): mount-run-%:
	@set -o pipefail; $(MAKE) --no-print-directory check-mount $(RUN) 2>&1 | sed -u 's/^/$*: /'

# The pictures of the README, of a real mount under a load.
screenshots: bootstrap-packaging
	@$(MAKE) --no-print-directory -j$(JOBS) all build/venv/requirements-packaging.txt
	@PYTHONPATH=tests/servers:tests/mount $(PYTHON) tests/packaging/screenshots.py

# What is installed; with the Debian package where `make deb` made one.
check-install: $(OUT)/gridmount build/venv/requirements-packaging.txt
	@mkdir -p build/reports
	@$(PYTHON) -m pytest tests/packaging -q --junitxml=build/reports/packaging$(if $(PYTEST),-long).xml $(PYTEST)

# Also the package in a Debian of its own, of each of SUITES.
SUITES = bookworm trixie
check-packaging: bootstrap-packaging
	@$(MAKE) --no-print-directory -j$(JOBS) all build/venv/requirements-packaging.txt
	@$(MAKE) --no-print-directory deb
	@$(MAKE) --no-print-directory check-install
	@GRIDMOUNT_TEST_SUITES='$(SUITES)' $(MAKE) --no-print-directory check-install PYTEST='--long --timeout 1800 -s'

# The same on another release of Debian, as root: SUITE=trixie|testing, CC=gcc|clang; TESTS and SERVER as for check-mount.
SUITE = trixie
check-debian:
	@packaging/debian-chroot $(SUITE) sh -c 'packaging/bootstrap check && make --no-print-directory CC=$(CC) clean && \
		make --no-print-directory CC=$(CC) -j$(JOBS) DEVELOPER=1 all layers headers && \
		make --no-print-directory CC=$(CC) -j$(JOBS) all check-unit && \
		make --no-print-directory CC=$(CC) -j$(JOBS) check-mount TESTS="$(TESTS)" SERVER=$(SERVER) PYTEST="$(PYTEST)"'

# PJDFSTEST=path of a checkout of github.com/pjd/pjdfstest: its 8,798 assertions on a mount.
check-pjdfstest: bootstrap-long
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory check-mount TESTS=tests/mount/test_pjdfstest.py PYTEST='--long -s'

check-long: bootstrap-long
	@$(MAKE) --no-print-directory $(OUT)/unit/test_vfs_failing
	@GRIDMOUNT_TEST_GIB=100 $(OUT)/unit/test_vfs_failing 2>/dev/null
	@$(MAKE) --no-print-directory check-mount PYTEST='--long --timeout 1800'
	@$(MAKE) --no-print-directory fuzz SECONDS=600

# The unit tests once more, slowly: what they read before it was written, and what they do not give back.
VALGRIND = valgrind --quiet --error-exitcode=99 --suppressions=tests/valgrind.supp --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
# It has an allocator of its own, and numbers of 80 bits are of 64 there.
NOT_UNDER_VALGRIND = $(OUT)/unit/test_trim $(OUT)/unit/test_value_order
UNDER_VALGRIND = $(filter-out $(NOT_UNDER_VALGRIND),$(UNITS))
check-valgrind: bootstrap-valgrind
	@$(MAKE) --no-print-directory -j$(JOBS) run-valgrind

run-valgrind: $(UNDER_VALGRIND)
	@mkdir -p build/reports
	@for unit in $(UNDER_VALGRIND); do \
		$(VALGRIND) $$unit >build/reports/valgrind.log 2>&1 || { echo "$$unit failed under valgrind:"; cat build/reports/valgrind.log; exit 1; }; \
	done
	@echo "valgrind: $(words $(UNDER_VALGRIND)) unit programs, no error and no leak"

# Daemons that are killed again and again, KILLS times under a load of changes; then at each step that can be made by hand.
KILLS = 500
check-crash: bootstrap-check
	@$(MAKE) --no-print-directory all
	@GRIDMOUNT_TEST_KILLS=$(KILLS) $(MAKE) --no-print-directory check-mount PYTEST='--long -s' \
		TESTS='tests/mount/test_kills.py tests/mount/test_crash.py tests/mount/test_journal.py tests/mount/test_storms.py \
		tests/mount/test_failpoints.py'

# Mixed work of 8 processes for so long, with figures each minute.
soak: SECONDS = 3600
soak: bootstrap-check
	@$(MAKE) --no-print-directory all
	@GRIDMOUNT_TEST_SOAK=$(SECONDS) $(MAKE) --no-print-directory check-mount TESTS=tests/mount/test_soak.py PYTEST='--long -s'

help:
	@sed -n '/^# gridmount/,/^$$/s/^# \{0,1\}//p' Makefile
	@grep -oE '^[a-z][a-z-]*:' Makefile | tr -d : | sort -u | xargs echo "targets:"

clean:
	rm -rf build/cache build/fs build/lib build/tests build/unit build/store build/fuzz build/bench build/compare build/share build/deb build/gridmount build/sanitize-* build/developer

.PHONY: all docs store-tests mount-runs $(MOUNT_RUNS) install dist deb check-packaging check-install screenshots check check-unit $(RUN_UNITS) check-mount check-bench check-long check-crash check-valgrind run-valgrind check-pjdfstest check-debian soak layers add-licences headers demo bench bench-plots bench-compare fuzz clean help bootstrap
-include $(shell find $(OUT)/cache $(OUT)/fs $(OUT)/tests -name '*.d' 2>/dev/null)

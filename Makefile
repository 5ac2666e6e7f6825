# Portolan. `make help` lists the targets.

PREFIX   ?= /usr/local
DESTDIR  ?=
CC       ?= cc
CFLAGS   ?= -O2 -g
SANITIZE ?=
WERROR   ?=
V        ?=
FUZZ_SECONDS ?= 60
FUZZ_CC  ?= clang
PYTHON   ?= /usr/bin/python3

# Each compiler and each set of sanitizers has a tree of objects of its own.
comma  := ,
flavour := $(filter-out cc gcc,$(notdir $(CC)))$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
BUILD  ?= build$(if $(flavour),/flavour/$(patsubst -%,%,$(flavour)))

SYSTEMD := $(shell pkg-config --exists libsystemd 2>/dev/null && echo libsystemd)
PKGS    := libevent_core $(SYSTEMD)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
WARNINGS += $(if $(WERROR),-Werror)
HARDEN   := -fstack-protector-strong -fPIE
HARDEN   += $(if $(SANITIZE),-fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2)
SANITIZERS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all)

ALL_CPPFLAGS = -D_GNU_SOURCE -Isrc -Iinclude $(if $(SYSTEMD),-DHAVE_LIBSYSTEMD) $(CPPFLAGS)
ALL_CFLAGS   = -std=c11 $(WARNINGS) $(HARDEN) $(CFLAGS) $(SANITIZERS)
ALL_LDFLAGS  = -pie -Wl,-z,relro,-z,now $(LDFLAGS) $(SANITIZERS)
PKG_CFLAGS   = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS     = $(shell pkg-config --libs $(PKGS))

say = $(if $(V),,@echo '  $(1) $@';)

# The floors of the house, the ground floor first. src/daemon/main.c is no part of a library.
CORE_FLOORS := base erlang names
FLOORS      := $(CORE_FLOORS) net daemon cli
objects      = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)))
CORE  := $(call objects,$(foreach floor,$(CORE_FLOORS),src/$(floor)/*.c))
ALL   := $(call objects,$(foreach floor,$(FLOORS),src/$(floor)/*.c))
PARTS := $(filter-out %/daemon/main.o,$(ALL))

PROGRAMS  := $(BUILD)/bin/portoland $(BUILD)/bin/epmd
UNIT      := $(BUILD)/tests/unit
UNIT_OBJS := $(call objects,tests/unit/*.c)
BENCH     := $(BUILD)/bench/load $(BUILD)/bench/bare_loop
FUZZERS   := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all help run check check-unit check-system check-valgrind bench bench-smoke fuzz fuzzers \
        lint format install uninstall clean

all: $(PROGRAMS)

help:
	@echo 'make all      build everything into $(BUILD)/'
	@echo 'make run      install what the build needs, build, run the daemon in the foreground'
	@echo 'make check    install what the tests need, build, run all tests'
	@echo '              (check-unit, check-system: a part; check-valgrind: system tests under valgrind)'
	@echo 'make bench    compare with stock epmd and a bare epoll loop (bench-smoke: briefly)'
	@echo 'make fuzz     fuzz every parser for FUZZ_SECONDS=$(FUZZ_SECONDS) each'
	@echo 'make lint     formatting, floors, warnings of both compilers, manual pages, scripts'
	@echo 'make format   let clang-format have its way'
	@echo 'make install  to $(DESTDIR)$(PREFIX); uninstall undoes it'
	@echo 'Variables: CC=clang SANITIZE=address,undefined WERROR=1 V=1 PREFIX= DESTDIR='

# --- build ---

$(BUILD)/bin/portoland: $(ALL)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/bin/epmd: $(BUILD)/bin/portoland
	$(call say,LINK) ln -sf portoland $@

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  ) $(CC) $(ALL_CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# --- run ---

run:
	@scripts/deps build
	@$(MAKE) --no-print-directory all
	@scripts/run $(BUILD)/bin/portoland

# --- test ---

check:
	@scripts/deps test
	@$(MAKE) --no-print-directory all check-unit check-system

check-unit: $(UNIT)
	$(UNIT)

check-system: $(PROGRAMS)
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/system

check-valgrind: $(PROGRAMS)
	PORTOLAN_BUILD=$(abspath $(BUILD)) PORTOLAN_SLOW=10 PORTOLAN_WRAPPER='$(VALGRIND)' \
	    $(PYTHON) -m pytest -q -p no:cacheprovider tests/system

VALGRIND := valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible --child-silent-after-fork=no

$(UNIT): $(UNIT_OBJS) $(PARTS)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(UNIT_WRAPS) -o $@ $^ $(PKG_LIBS) \
	    $(shell pkg-config --libs check)

UNIT_WRAPS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=strdup

# --- bench ---

bench:
	@scripts/deps bench
	@$(MAKE) --no-print-directory all $(BENCH)
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/run.py

bench-smoke:
	@scripts/deps bench
	@$(MAKE) --no-print-directory all $(BENCH)
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/run.py --smoke

$(BUILD)/bench/load: $(call objects,tests/bench/l*.c)
$(BUILD)/bench/bare_loop: $(call objects,tests/bench/bare_loop.c)
$(BENCH):
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

# --- fuzz ---

fuzz:
	@scripts/deps fuzz
	@$(MAKE) --no-print-directory CC=$(FUZZ_CC) SANITIZE=address,undefined,fuzzer-no-link fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh \
	    build/flavour/$(notdir $(FUZZ_CC))-address-undefined-fuzzer-no-link/fuzz

fuzzers: $(FUZZERS)

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(CORE)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^

# --- look after the source ---

SOURCES = $(wildcard include/*.h src/*/*.[ch] tests/*/*.[ch])

lint:
	@scripts/deps lint
	@scripts/lint $(SOURCES)

format:
	clang-format -i $(SOURCES)

# --- install ---

bindir := $(PREFIX)/bin
mandir := $(PREFIX)/share/man
unitdir := $(PREFIX)/lib/systemd/system

install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man8 \
	    $(DESTDIR)$(unitdir)
	install -m 755 $(BUILD)/bin/portoland $(DESTDIR)$(bindir)/portoland
	ln -sf portoland $(DESTDIR)$(bindir)/epmd
	install -m 644 man/epmd.1 $(DESTDIR)$(mandir)/man1/epmd.1
	install -m 644 man/portoland.8 $(DESTDIR)$(mandir)/man8/portoland.8
	install -m 644 etc/epmd.socket $(DESTDIR)$(unitdir)/epmd.socket
	sed 's|@PREFIX@|$(PREFIX)|' etc/epmd.service.in >$(DESTDIR)$(unitdir)/epmd.service
	chmod 644 $(DESTDIR)$(unitdir)/epmd.service

uninstall:
	rm -f $(DESTDIR)$(bindir)/portoland $(DESTDIR)$(bindir)/epmd \
	    $(DESTDIR)$(mandir)/man1/epmd.1 $(DESTDIR)$(mandir)/man8/portoland.8 \
	    $(DESTDIR)$(unitdir)/epmd.socket $(DESTDIR)$(unitdir)/epmd.service

clean:
	rm -rf build

-include $(ALL:.o=.d) $(UNIT_OBJS:.o=.d) $(patsubst %.c,$(BUILD)/obj/%.d,$(wildcard tests/bench/*.c))

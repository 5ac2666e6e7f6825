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
PKGS    := libevent_core libssl libcrypto inih jansson $(SYSTEMD)

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

# The rooms of the house, from the ground floor up (scripts/check-floors has the floors).
CORE_ROOMS   := base erlang names cluster
DAEMON_ROOMS := $(CORE_ROOMS) loop relay process net host discovery store config epmd front link \
                service control preflight daemon
ROOMS        := $(DAEMON_ROOMS) client cli
objects  = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)))
rooms    = $(call objects,$(foreach room,$(1),src/$(room)/*.c))
ALL     := $(call rooms,$(ROOMS))

CORE       := $(call rooms,$(CORE_ROOMS))
PORTOLAND  := $(call rooms,$(DAEMON_ROOMS))
PORTOLAN   := $(call rooms,base erlang client cli) \
              $(call objects,$(addprefix src/,net/host_lookup.c net/address.c host/local_host.c))
MAINS      := %/daemon/main.o %/cli/portolan.o
PARTS      := $(BUILD)/parts.a

# libportolan has copies of its own of what it needs from the lower floors, hidden from its users.
LIB_VERSION := $(shell sed -n 's/^.define PORTOLAN_VERSION "\(.*\)"/\1/p' include/portolan.h)
LIB         := $(BUILD)/lib/libportolan
LIB_OBJS    := $(patsubst %.c,$(BUILD)/pic/%.o,$(wildcard src/client/*.c) \
                 $(addprefix src/,base/assert.c base/bytes.c base/clock.c base/control_path.c base/text.c \
                                  base/thread.c erlang/ekka_port.c erlang/epmd_reply.c erlang/epmd_wire.c \
                                  erlang/node_name.c net/address.c net/host_lookup.c host/local_host.c))
LIB_LDFLAGS  = -shared -Wl,-soname,libportolan.so.0 -Wl,--version-script=src/client/libportolan.map \
               -Wl,-z,defs,-z,relro,-z,now,-z,nodelete $(LDFLAGS)
# with a sanitizer in it, it could be linked by nobody
LIBRARIES   := $(if $(SANITIZE),,$(LIB).a $(LIB).so $(LIB).so.0)

PROGRAMS  := $(BUILD)/bin/portoland $(BUILD)/bin/epmd $(BUILD)/bin/portolan
UNIT      := $(BUILD)/tests/unit
UNIT_OBJS := $(call objects,tests/unit/*.c)
SIM       := $(BUILD)/tests/sim
SIM_OBJS  := $(call objects,tests/sim/*.c)
BENCH     := $(BUILD)/bench/load $(BUILD)/bench/bare_loop $(BUILD)/bench/client_calls
# all of them, or those that FUZZ names without their fuzz_
FUZZERS   := $(if $(FUZZ),$(FUZZ:%=$(BUILD)/fuzz/fuzz_%), \
               $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all check-library record-abi help run check check-unit check-sim check-mutations check-mutator mutation sim scale \
        check-system check-long check-otp check-valgrind bench bench-smoke attack attack-smoke \
        fuzz fuzzers lint format docs-from-keys install install-epmd uninstall clean

all: $(PROGRAMS) $(LIBRARIES)

help:
	@echo 'make all      build everything into $(BUILD)/'
	@echo 'make run      install what the build needs, build, run the daemon in the foreground'
	@echo 'make check    install what the tests need, build, run all tests'
	@echo '              (check-unit, check-sim, check-system: a part; check-valgrind: system tests under valgrind)'
	@echo 'make check-library  the unit tests of libportolan under address, undefined and thread sanitizers'
	@echo 'make check-long  a cluster with real nodes that is split for six minutes; 10,000 streams;'
	@echo '              50,000 connects; 500 daemons with sanitizers, stopped at random moments;'
	@echo '              each call of a daemon fails once; a million names are listed'
	@echo 'make check-otp  OTP'"'"'s own tests of epmd, OTP_RUNS=$(OTP_RUNS) times; fetches Debian'"'"'s source of erlang'
	@echo 'make sim      random scenarios of clusters: SEEDS=$(SEEDS) FIRST=$(FIRST); make scale: large ones'
	@echo 'make check-mutations  show that the simulator sees: break the code on purpose, in many ways'
	@echo 'make mutation change the source at random, COUNT=$(COUNT) times, and show what no test notices:'
	@echo '              ROOM=base,names (all), SEED=$(SEED)'
	@echo 'make bench    compare with stock epmd, a bare loop, serf, HAProxy, nginx (bench-smoke: briefly)'
	@echo 'make attack   attack a daemon and measure what its users feel; ATTACKS= names some'
	@echo 'make fuzz     fuzz every parser for FUZZ_SECONDS=$(FUZZ_SECONDS) each; FUZZ= names some'
	@echo 'make lint     formatting, floors, warnings of both compilers, manual pages, scripts'
	@echo 'make record-abi  make the binary interface of libportolan the one that lint compares with'
	@echo 'make format   let clang-format have its way'
	@echo 'make install  to $(DESTDIR)$(PREFIX); install-epmd: also under the name epmd, with its units;'
	@echo '              uninstall undoes both, and scripts/replace-epmd'
	@echo 'Variables: CC=clang SANITIZE=address,undefined WERROR=1 V=1 PREFIX= DESTDIR='

# --- build ---

$(BUILD)/bin/portoland: $(PORTOLAND)
$(BUILD)/bin/portolan: $(PORTOLAN)
$(BUILD)/bin/portoland $(BUILD)/bin/portolan:
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--as-needed -o $@ $^ $(PKG_LIBS) -pthread

$(BUILD)/bin/epmd: $(BUILD)/bin/portoland
	$(call say,LINK) ln -sf portoland $@

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  ) $(CC) $(ALL_CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What tests and fuzzers link against: all but the mains. Thin, for rooms have files of one name.
$(PARTS): $(filter-out $(MAINS),$(ALL))
	$(call say,AR  ) rm -f $@ && $(AR) rcsT $@ $^

$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  ) $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

# one object in which only the public names can be seen: programs have names like ours
$(LIB).a: $(LIB_OBJS)
	@mkdir -p $(@D)
	$(call say,AR  ) $(LD) -r -o $(LIB).o $^ && objcopy --localize-hidden $(LIB).o && \
	    rm -f $@ && $(AR) rcs $@ $(LIB).o && rm -f $(LIB).o

$(LIB).so.$(LIB_VERSION): $(LIB_OBJS) src/client/libportolan.map
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(LIB_LDFLAGS) -o $@ $(LIB_OBJS) -pthread

$(LIB).so.0: $(LIB).so.$(LIB_VERSION)
	$(call say,LINK) ln -sf $(<F) $@

$(LIB).so: $(LIB).so.0
	$(call say,LINK) ln -sf $(<F) $@

# What is made from the table of keys; a test compares them.
docs-from-keys: $(BUILD)/bin/portoland
	$< --print-example >etc/portolan.conf
	{ sed '/^\.\\" keys begin/q' man/portolan.conf.5; $< --print-mdoc; \
	  sed -n '/^\.\\" keys end/,$$p' man/portolan.conf.5; } >man/portolan.conf.5.new
	mv man/portolan.conf.5.new man/portolan.conf.5

# The interface that programs were built against, which scripts/lint compares with.
record-abi: $(LIB).so
	scripts/abi record $<

# --- run ---

run:
	@scripts/deps build
	@$(MAKE) --no-print-directory all
	@scripts/run $(BUILD)/bin/portoland

# --- test ---

check:
	@scripts/deps test
	@$(MAKE) --no-print-directory all check-unit check-sim check-mutator check-system

check-unit: $(UNIT)
	$(UNIT)

check-system: $(PROGRAMS) $(LIBRARIES) $(LOOPS) $(BUILD)/tests/crowd
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/system

# What takes too long for each change.
check-long: $(PROGRAMS) $(LIBRARIES) $(BUILD)/tests/crowd
	@$(MAKE) --no-print-directory SANITIZE=address,undefined BUILD=$(BUILD)/sanitized all
	PORTOLAN_BUILD=$(abspath $(BUILD)) PORTOLAN_LONG=1 PORTOLAN_SANITIZED=$(abspath $(BUILD)/sanitized) \
	    $(PYTHON) -m pytest -q -p no:cacheprovider -rPs \
	    tests/system/test_cluster_otp.py tests/system/test_proxy.py tests/system/test_random_stop.py \
	    tests/system/test_one_port.py tests/system/test_lookup_turns.py tests/system/test_faults.py \
	    tests/system/test_many_names.py

check-valgrind: $(PROGRAMS) $(LIBRARIES)
	PORTOLAN_BUILD=$(abspath $(BUILD)) PORTOLAN_SLOW=10 PORTOLAN_WRAPPER='$(VALGRIND)' \
	    $(PYTHON) -m pytest -q -p no:cacheprovider tests/system

VALGRIND := valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible --child-silent-after-fork=no

$(UNIT): $(UNIT_OBJS) $(PARTS)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(UNIT_WRAPS) -o $@ $^ $(PKG_LIBS) \
	    $(shell pkg-config --libs check) -pthread

# Many operations of the library at once, in the loops of poll, epoll, libevent and libuv. The
# library is linked by its objects: so it may be built with a sanitizer.
LOOPS := $(BUILD)/tests/loops
UV    := $(shell pkg-config --exists libuv 2>/dev/null && echo libuv)

$(LOOPS): ALL_CPPFLAGS += $(if $(UV),-DHAVE_LIBUV)
$(LOOPS): $(call objects,tests/library/*.c) $(LIB_OBJS)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -levent_core $(if $(UV),-luv) -pthread

# A member of a cluster that has tens of thousands of names.
CROWD := $(BUILD)/tests/crowd

$(CROWD): $(call objects,tests/crowd/*.c) $(PARTS)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -pthread

# The library's unit tests under both sanitizers, which a check-system runs its loops under too.
check-library:
	@scripts/deps test
	@for sanitize in address,undefined thread; do \
	    build=build/flavour/$$(echo $$sanitize | tr , -); \
	    $(MAKE) --no-print-directory SANITIZE=$$sanitize $$build/tests/unit || exit 1; \
	    for suite in client client_replies client_json client_session client_faults \
	        client_troubles; do CK_RUN_SUITE=$$suite $$build/tests/unit || exit 1; done; done

OTP_RUNS ?= 1
OTP_AT_ONCE ?= 1

check-otp: $(PROGRAMS)
	PORTOLAN_BUILD=$(abspath $(BUILD)) scripts/otp-epmd-suite $(OTP_RUNS) $(OTP_AT_ONCE)

# Random scenarios of clusters in virtual time; SEEDS and FIRST choose which.

SEEDS ?= 100000
FIRST ?= 1
SCALE ?= 100 1000

sim: $(SIM)
	$(SIM) --seeds $(SEEDS) --first $(FIRST)

check-sim: $(SIM)
	$(SIM) --seeds 2000

check-mutations:
	tests/sim/mutations.py

# Random changes of the source outside the cluster, and whether a test notices (tests/mutation).
SEED  ?= 1
COUNT ?= 40

mutation:
	@scripts/deps test
	$(PYTHON) tests/mutation/run.py $(if $(ROOM),--room $(ROOM)) --seed $(SEED) --count $(COUNT)

check-mutator:
	$(PYTHON) tests/mutation/test_mutator.py

scale: $(SIM)
	@for members in $(SCALE); do $(SIM) --scale $$members || exit 1; done

# The core as the simulator runs it: its memory may run out (tests/sim/alloc_failures.h).
ALLOC_FAILURES := $(CORE:$(BUILD)/obj/%=$(BUILD)/obj/alloc_failures/%)

$(BUILD)/obj/alloc_failures/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  ) $(CC) $(ALL_CPPFLAGS) -include tests/sim/alloc_failures.h $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(SIM): $(SIM_OBJS) $(ALLOC_FAILURES)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

WRAPPED    := malloc calloc strdup socket connect send recv poll epoll_create1 epoll_ctl \
              timerfd_create timerfd_settime eventfd pthread_create getaddrinfo clock_gettime
UNIT_WRAPS := $(foreach call,$(WRAPPED) _tcase_add_test,-Wl$(comma)--wrap=$(call))

# --- bench ---

bench:
	@scripts/deps bench
	@$(MAKE) --no-print-directory all $(BENCH)
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/run.py
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/leaving.py
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/library.py
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/cluster.py
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/proxy.py

bench-smoke:
	@scripts/deps bench
	@$(MAKE) --no-print-directory all $(BENCH)
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/run.py --smoke
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/leaving.py --rounds 3 --names 2000
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/library.py --smoke
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/cluster.py --rounds 1
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/proxy.py --smoke

# --- attack ---

ATTACKS ?=

attack: $(BUILD)/attack/probe
	@$(MAKE) --no-print-directory all $(BENCH)
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/attack/run.py $(ATTACKS)

attack-smoke: $(BUILD)/attack/probe
	@$(MAKE) --no-print-directory all $(BENCH)
	PORTOLAN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/attack/run.py --rounds 1 --seconds 1

$(BUILD)/attack/probe: $(call objects,tests/attack/*.c tests/bench/latency.c)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/bench/load: $(call objects,tests/bench/l*.c)
$(BUILD)/bench/bare_loop: $(call objects,tests/bench/bare_loop.c)
$(BUILD)/bench/client_calls: $(call objects,tests/bench/client_calls.c) $(LIB_OBJS)
$(BENCH):
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

# --- fuzz ---

fuzz:
	@scripts/deps fuzz
	@$(MAKE) --no-print-directory CC=$(FUZZ_CC) SANITIZE=address,undefined,fuzzer-no-link fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh \
	    build/flavour/$(notdir $(FUZZ_CC))-address-undefined-fuzzer-no-link/fuzz $(FUZZ)

fuzzers: $(FUZZERS)

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(PARTS)
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS) -pthread

# --- look after the source ---

SOURCES = $(wildcard include/*.h src/*/*.[ch] tests/*/*.[ch] docs/examples/*.c)

lint:
	@scripts/deps lint
	@scripts/lint $(SOURCES)

format:
	clang-format -i $(SOURCES)

# --- install ---

bindir := $(PREFIX)/bin
libdir := $(PREFIX)/lib
mandir := $(PREFIX)/share/man
unitdir := $(PREFIX)/lib/systemd/system
datadir := $(PREFIX)/share
bashdir := $(datadir)/bash-completion/completions
zshdir  := $(datadir)/zsh/site-functions

# Of the files those that also OTP's epmd has are apart: they are installed when asked for.
EPMD_FILES := $(bindir)/epmd $(mandir)/man1/epmd.1 $(addprefix $(unitdir)/,epmd.socket epmd.service)
PAGES      := $(filter-out man/epmd.1,$(wildcard man/*.?))
# the functions that libportolan(3) describes: each has its page, which is that one
FUNCTIONS  := $(shell sed -n 's/^\.Nm \(portolan_[a-z_]*\).*/\1/p' man/libportolan.3)
INSTALLED  := $(addprefix $(bindir)/,portoland portolan) \
              $(foreach page,$(PAGES),$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
              $(FUNCTIONS:%=$(mandir)/man3/%.3) $(PREFIX)/include/portolan.h \
              $(addprefix $(libdir)/libportolan.,a so so.0 so.$(LIB_VERSION)) \
              $(libdir)/pkgconfig/portolan.pc $(addprefix $(datadir)/doc/portolan/,portolan.conf one-port.md leases.md) \
              $(bashdir)/portolan $(zshdir)/_portolan \
              $(addprefix $(unitdir)/,portoland.socket portoland.service)

# fill FROM,TO: puts the prefix and the version in
fill = sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(LIB_VERSION)|' $(1) >$(DESTDIR)$(2) && \
       chmod 644 $(DESTDIR)$(2)

install: all
	@DESTDIR='$(DESTDIR)' scripts/installed check $(INSTALLED)
	install -d $(sort $(dir $(addprefix $(DESTDIR),$(INSTALLED))))
	install -m 755 $(BUILD)/bin/portoland $(BUILD)/bin/portolan $(DESTDIR)$(bindir)
	for page in $(PAGES); do \
	    install -m 644 $$page $(DESTDIR)$(mandir)/man$${page##*.} || exit 1; done
	for function in $(FUNCTIONS); do \
	    ln -sf libportolan.3 $(DESTDIR)$(mandir)/man3/$$function.3 || exit 1; done
	install -m 644 include/portolan.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(LIB).a $(DESTDIR)$(libdir)
	install -m 755 $(LIB).so.$(LIB_VERSION) $(DESTDIR)$(libdir)
	ln -sf libportolan.so.$(LIB_VERSION) $(DESTDIR)$(libdir)/libportolan.so.0
	ln -sf libportolan.so.0 $(DESTDIR)$(libdir)/libportolan.so
	$(call fill,src/client/portolan.pc.in,$(libdir)/pkgconfig/portolan.pc)
	install -m 644 etc/portolan.conf docs/one-port.md docs/leases.md $(DESTDIR)$(datadir)/doc/portolan
	install -m 644 scripts/completion/portolan.bash $(DESTDIR)$(bashdir)/portolan
	install -m 644 scripts/completion/_portolan $(DESTDIR)$(zshdir)/_portolan
	install -m 644 etc/portoland.socket $(DESTDIR)$(unitdir)/portoland.socket
	$(call fill,etc/portoland.service.in,$(unitdir)/portoland.service)

install-epmd: install
	@DESTDIR='$(DESTDIR)' scripts/installed check $(EPMD_FILES)
	ln -sf portoland $(DESTDIR)$(bindir)/epmd
	install -m 644 man/epmd.1 $(DESTDIR)$(mandir)/man1
	install -m 644 etc/epmd.socket $(DESTDIR)$(unitdir)/epmd.socket
	$(call fill,etc/epmd.service.in,$(unitdir)/epmd.service)

# Nodes must find the stock epmd again before the one that they start goes.
uninstall:
	scripts/replace-epmd --undo --only $(bindir) $(if $(DESTDIR),--root $(DESTDIR))
	@DESTDIR='$(DESTDIR)' scripts/installed remove $(INSTALLED) $(EPMD_FILES)

clean:
	rm -rf build

-include $(ALL:.o=.d) $(LIB_OBJS:.o=.d) $(UNIT_OBJS:.o=.d) $(SIM_OBJS:.o=.d) $(ALLOC_FAILURES:.o=.d) \
    $(patsubst %.c,$(BUILD)/obj/%.d,$(wildcard tests/bench/*.c tests/library/*.c))

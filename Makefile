# Portolan. `make help` lists the targets.

PREFIX   ?= /usr/local
DESTDIR  ?=
CC       ?= cc
SANITIZE ?=
BUILD    ?= build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))$(if $(filter clang%,$(notdir $(CC))),/clang)
FUZZ_SECONDS ?= 60

comma := ,
PKGS := libevent_core
SYSTEMD := $(shell pkg-config --exists libsystemd 2>/dev/null && echo libsystemd)

CPPFLAGS += -D_GNU_SOURCE -Isrc -Iinclude $(if $(SYSTEMD),-DHAVE_LIBSYSTEMD)
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            $(if $(WERROR),-Werror)
CFLAGS   ?= -O2 -g
HARDEN   := -fstack-protector-strong $(if $(SANITIZE),-fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2)
ALL_CFLAGS = -std=c11 $(WARNINGS) $(HARDEN) $(CFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all)
ALL_LDFLAGS = $(LDFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE),-Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now)
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) $(SYSTEMD))
PKG_LIBS   = $(shell pkg-config --libs $(PKGS) $(SYSTEMD))

SRCS := $(wildcard src/*/*.c)
OBJS := $(SRCS:%.c=$(BUILD)/obj/%.o)
CORE := $(filter $(BUILD)/obj/src/base/% $(BUILD)/obj/src/erlang/% $(BUILD)/obj/src/names/%,$(OBJS))
PARTS := $(filter-out %/daemon/main.o,$(OBJS))

PROGRAMS := $(BUILD)/bin/portoland $(BUILD)/bin/epmd

.PHONY: all help run check check-unit check-system bench bench-smoke fuzz lint format install uninstall clean

all: $(PROGRAMS)

help:
	@echo 'make all      build everything into $(BUILD)/'
	@echo 'make run      install what the build needs, build, run the daemon in the foreground'
	@echo 'make check    install what the tests need, build, run all tests'
	@echo 'make bench    compare with stock epmd and a bare epoll loop'
	@echo 'make fuzz     fuzz every parser for FUZZ_SECONDS=$(FUZZ_SECONDS) each'
	@echo 'make lint     formatting, floors, static analysis, manual pages, scripts'
	@echo 'make install  into DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)'
	@echo 'Also: CC=clang, SANITIZE=address,undefined, WERROR=1'

$(BUILD)/bin/portoland: $(OBJS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/bin/epmd: $(BUILD)/bin/portoland
	ln -sf portoland $@

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

clean:
	rm -rf build

-include $(OBJS:.o=.d)

# SPDX-License-Identifier: Apache-2.0
# mayfly: one Makefile, not recursive. `make help` lists the targets; V=1 shows commands.

VERSION := 0.1.0
B       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=

CC      := gcc
MUSL_CC := musl-gcc
CLANG   := clang

ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-7s %s\n' "$(1)" "$(2)")
dir  = @mkdir -p $(@D)

WARN     := -std=gnu17 -Wall -Wextra -Werror
DEPFLAGS := -MMD -MP

.DEFAULT_GOAL := all
.PHONY: all demo check check-build check-amdv bench bench-build lint fmt fuzz install clean deps help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(addprefix $(B)/,mayfly mayfly-image mayfly-backtrace mayfly-daemon mayfly-client mayfly-net) ## build (needs the packages of `make deps`)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

deps: ## install the Debian packages that a build needs (as root)
	@scripts/deps.sh build

# ---- the library kernel: freestanding, ring 3, general registers only ----
# Frame pointers, for crash reports that lead through it.
UK_FLAGS := $(WARN) -O2 -g -ffreestanding -fno-stack-protector -mgeneral-regs-only -fpie \
	-fvisibility=hidden -fcf-protection=none -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-ffunction-sections -fdata-sections
UK_SRC := $(wildcard unikernel/*.c unikernel/net/*.c)

# lwIP is Debian's source package, unpatched: fetched once, pinned, checked.
LWIP_VERSION := 2.1.3+dfsg1-2
LWIP     := $(B)/lwip
LWIP_SRC := core/init core/def core/inet_chksum core/ip core/mem core/memp core/netif core/pbuf core/raw \
	core/tcp core/tcp_in core/tcp_out core/udp core/ipv4/dhcp core/ipv4/etharp core/ipv4/icmp \
	core/ipv4/igmp core/ipv4/ip4_frag core/ipv4/ip4 core/ipv4/ip4_addr core/ipv6/ethip6 core/ipv6/icmp6 \
	core/ipv6/inet6 core/ipv6/ip6 core/ipv6/ip6_addr core/ipv6/ip6_frag core/ipv6/mld6 core/ipv6/nd6 \
	netif/ethernet
LWIP_OBJ := $(LWIP_SRC:%=$(B)/unikernel/lwip/%.o)
LWIP_FLAGS := -Iunikernel/net/lwip -isystem $(LWIP)/src/include
UK_OBJ := $(UK_SRC:%.c=$(B)/%.o) $(B)/unikernel/entry.o $(LWIP_OBJ)

$(LWIP)/.unpacked: scripts/debsrc.sh scripts/debsrc.sha256
	$(call say,SRC,lwip $(LWIP_VERSION))
	$(Q)rm -rf $(LWIP) && mkdir -p $(B) && scripts/debsrc.sh lwip $(LWIP_VERSION) $(LWIP) >$(B)/lwip.log || { cat $(B)/lwip.log; exit 1; }
	$(Q)touch $@

# -MMD names no headers of the system's, and for the compiler these are some.
LWIP_CONF := $(LWIP)/.unpacked $(wildcard unikernel/net/lwip/*.h unikernel/net/lwip/*/*.h)

$(B)/unikernel/lwip/%.o: $(LWIP_CONF)
	$(dir)
	$(call say,LWIP,$*)
	$(Q)$(CC) $(filter-out $(WARN),$(UK_FLAGS)) -std=gnu17 -w $(LWIP_FLAGS) $(DEPFLAGS) -c -o $@ $(LWIP)/src/$*.c

$(B)/unikernel/net/%.o: unikernel/net/%.c $(LWIP_CONF)
	$(dir)
	$(call say,CC,$<)
	$(Q)$(CC) $(UK_FLAGS) $(LWIP_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/unikernel/%.o: unikernel/%.c
	$(dir)
	$(call say,CC,$<)
	$(Q)$(CC) $(UK_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/unikernel/entry.o: unikernel/entry.S $(B)/vdso.so
	$(dir)
	$(call say,AS,$<)
	$(Q)$(CC) -DVDSO_FILE='"$(B)/vdso.so"' -c -o $@ $<

$(B)/vdso.so: unikernel/vdso/vdso.c unikernel/vdso/vdso.ld unikernel/vdso/vdso.map noxs/clock.h noxs/noxs.h
	$(dir)
	$(call say,LD,$@)
	$(Q)$(CC) $(WARN) -O2 -ffreestanding -fPIC -fno-stack-protector -mgeneral-regs-only \
		-fvisibility=hidden -fcf-protection=none -nostdlib -shared -s \
		-Wl,-soname,linux-vdso.so.1 -Wl,--version-script=unikernel/vdso/vdso.map \
		-Wl,-T,unikernel/vdso/vdso.ld -Wl,--hash-style=both -Wl,-z,max-page-size=4096 -o $@ $<

$(B)/unikernel.elf: $(UK_OBJ) unikernel/kernel.ld
	$(call say,LD,$@)
	$(Q)ld -static -nostdlib -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		--wrap=tcp_split_unsent_seg -T unikernel/kernel.ld -o $@ $(UK_OBJ)

$(B)/unikernel.bin: $(B)/unikernel.elf
	$(Q)objcopy -O binary $< $@

# ---- the monitor: what a start waits for, static, musl ----
MON_FLAGS := $(WARN) -O2 -g -fpie -D_FILE_OFFSET_BITS=64 -DMAYFLY_VERSION='"$(VERSION)"' \
	-idirafter $(B)/uapi
MON_SRC := $(wildcard monitor/*.c)
MON_OBJ := $(MON_SRC:%.c=$(B)/%.o) $(B)/monitor/kernel_image.o

# The system-call filter is compiled here and now: a shell only hands it to the kernel.
$(B)/jail-filter: $(wildcard monitor/jail/*.[ch]) monitor/jail.h
	$(dir)
	$(call say,HOSTCC,$@)
	$(Q)$(CC) $(HELPER_FLAGS) -o $@ $(wildcard monitor/jail/*.c) -lseccomp

$(B)/jail_filter.inc: $(B)/jail-filter
	$(Q)$< >$@

$(B)/monitor/jail.o: $(B)/jail_filter.inc
$(B)/monitor/jail.o: MON_FLAGS += -I$(B)

# musl's headers lack the kernel's: show them, and nothing else of the system's.
$(B)/uapi:
	@mkdir -p $@
	@ln -sfn /usr/include/linux $@/linux
	@ln -sfn /usr/include/asm-generic $@/asm-generic
	@ln -sfn /usr/include/$(shell $(CC) -print-multiarch)/asm $@/asm

$(B)/monitor/%.o: monitor/%.c | $(B)/uapi
	$(dir)
	$(call say,MUSL,$<)
	$(Q)$(MUSL_CC) $(MON_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/monitor/kernel_image.o: monitor/kernel_image.S $(B)/unikernel.bin
	$(dir)
	$(Q)$(CC) -DKERNEL_FILE='"$(B)/unikernel.bin"' -c -o $@ $<

# A static PIE: musl-gcc knows only how to make a dynamic one, so its parts are named here.
MUSL_LIB := /usr/lib/$(subst gnu,musl,$(shell $(CC) -print-multiarch))
$(B)/mayfly: $(MON_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -static-pie -Wl,-z,text,-z,noexecstack,-z,relro,-z,now -o $@ \
		$(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o $(MON_OBJ) $(MUSL_LIB)/libc.a \
		$(shell $(CC) -print-libgcc-file-name) $(MUSL_LIB)/crtn.o

# ---- the helpers: heavy libraries, run beside or before, glibc ----
# What Debian has as an archive is linked in: a helper's start is part of a first run.
IMG_LIBS := -l:libdw.a -l:libelf.a -l:libnettle.a -l:libjansson.a -lz -lZydis
IMG_SRC  := $(wildcard monitor/image/*.c)
BT_SRC   := $(wildcard monitor/backtrace/*.c)
# The daemon shares what is not musl's alone: errors, the run directory, options, JSON text.
DAEMON_SRC  := $(wildcard monitor/daemon/*.c)
DAEMON_LIBS := -lmicrohttpd -ljansson -lcap-ng -lsystemd -lnettle
CLIENT_SRC  := $(wildcard monitor/client/*.c)
CLIENT_LIBS := -lcurl -ljansson -lnettle
HELPER_FLAGS := $(WARN) -O2 -g -D_GNU_SOURCE= -D_FORTIFY_SOURCE=2 -fstack-protector-strong

$(B)/monitor/image/%.o: monitor/image/%.c
	$(dir)
	$(call say,CC,$<)
	$(Q)$(CC) $(HELPER_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/monitor/daemon/%.o: monitor/daemon/%.c
	$(dir)
	$(call say,CC,$<)
	$(Q)$(CC) $(HELPER_FLAGS) -DMAYFLY_VERSION='"$(VERSION)"' $(DEPFLAGS) -c -o $@ $<

$(B)/monitor/client/%.o: monitor/client/%.c
	$(dir)
	$(call say,CC,$<)
	$(Q)$(CC) $(HELPER_FLAGS) -DMAYFLY_VERSION='"$(VERSION)"' $(DEPFLAGS) -c -o $@ $<

$(B)/monitor/backtrace/%.o: monitor/backtrace/%.c
	$(dir)
	$(call say,CC,$<)
	$(Q)$(CC) $(HELPER_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/helper/%.o: monitor/%.c
	$(dir)
	$(Q)$(CC) $(HELPER_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/mayfly-image: $(IMG_SRC:%.c=$(B)/%.o) $(B)/helper/err.o
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(IMG_LIBS)

$(B)/mayfly-backtrace: $(BT_SRC:%.c=$(B)/%.o) $(B)/helper/err.o
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ -ldw -lelf

$(B)/monitor/daemon/api_about.o: monitor/daemon/openapi.yaml

NET_SPEC := $(addprefix $(B)/helper/,net_spec.o net_address.o net_spec_print.o net_port.o)

$(B)/mayfly-daemon: $(DAEMON_SRC:%.c=$(B)/%.o) $(addprefix $(B)/helper/,err.o options.o) $(NET_SPEC)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(DAEMON_LIBS)

# libxdp, libbpf and netlink; its BPF programs are compiled here and now, and part of it.
NET_SRC  := $(wildcard monitor/net/*.c)
NET_SRC  := $(filter-out %.bpf.c,$(NET_SRC))
NET_BPF  := $(patsubst monitor/net/%.bpf.c,$(B)/monitor/net/%.bpf.o,$(wildcard monitor/net/*.bpf.c))
NET_LIBS := -l:libxdp.a -l:libbpf.a -l:libelf.a -lz -lmnl -l:libcap-ng.a

NET_OBJ  := $(NET_SRC:%.c=$(B)/%.o)

$(NET_BPF): $(B)/monitor/net/%.bpf.o: monitor/net/%.bpf.c $(wildcard monitor/net/*.h)
	$(dir)
	$(call say,BPF,$<)
	$(Q)$(CLANG) -target bpf -O2 -g -Wall -Wextra -Werror -I/usr/include/$(shell $(CC) -print-multiarch) -c -o $@ $<

$(NET_OBJ): $(B)/monitor/net/%.o: monitor/net/%.c $(NET_BPF)
	$(dir)
	$(call say,CC,$<)
	$(Q)$(CC) $(HELPER_FLAGS) -DBPF_DIR='"$(B)/monitor/net"' -DMAYFLY_VERSION='"$(VERSION)"' $(DEPFLAGS) -c -o $@ $<

$(B)/mayfly-net: $(NET_OBJ) $(addprefix $(B)/helper/,err.o net_spec.o net_address.o)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(NET_LIBS)

$(B)/mayfly-client: $(CLIENT_SRC:%.c=$(B)/%.o) $(addprefix $(B)/helper/,err.o options.o)
	$(call say,LD,$@)
	$(Q)$(CC) -o $@ $^ $(CLIENT_LIBS)

# ---- programs for a VM: ordinary C, static, musl ----
APPS := $(patsubst unikernel/apps/%.c,$(B)/apps/%,$(wildcard unikernel/apps/*.c))

$(B)/apps/%: unikernel/apps/%.c $(wildcard unikernel/apps/*.h)
	$(dir)
	$(call say,APP,$<)
	$(Q)$(MUSL_CC) $(WARN) -O2 -g -static -o $@ $<

.PHONY: apps
apps: $(APPS) ## the example programs of unikernel/apps

# ---- tests ----
# A test that needs sources of ours names them in its head comment: "sources: FILE...".
sources = $(shell sed -n 's/^.*sources: *//p' $(1) | sed 's,\*/.*,,')
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
OURS := $(wildcard noxs/*.h unikernel/net/*.[ch] monitor/*.[ch] monitor/image/*.[ch] monitor/daemon/*.[ch] unikernel/*.[ch] tests/unit/uk_mock.*)
TEST_LIBS := -lcmocka -l:libdw.a -lelf -lnettle -ljansson -lz -lZydis $(DAEMON_LIBS)
guests = $(patsubst tests/$(1)/%.c,$(B)/tests/$(1)/$(2)/%,$(wildcard tests/$(1)/*.c))
GUESTS := $(call guests,guest,musl) $(call guests,guest,glibc) \
	$(call guests,guest-crash,musl) $(call guests,guest-crash,glibc) $(call guests,guest-cli,musl) $(call guests,guest-hostile,musl) \
	$(call guests,net,musl) $(call guests,net,glibc)
GUEST_FLAGS := -std=gnu17 -Wall -O1 -g -static

SANITIZED := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined

$(B)/tests/unit/%: tests/unit/%.c $(OURS)
	$(dir)
	$(call say,TEST,$<)
	$(Q)$(CC) $(WARN) -D_GNU_SOURCE= $(SANITIZED) -o $@ $< $(call sources,$<) $(filter %.o,$^) $(TEST_LIBS)

# lwIP as part of a test, which is one that names lwip_host.c. The C library is the host's.
LWIP_UNIT     := $(patsubst %.c,$(B)/%,$(shell grep -l 'sources:.*lwip_host' tests/unit/test_*.c))
LWIP_UNIT_OBJ := $(LWIP_SRC:%=$(B)/tests/lwip/%.o)
LWIP_HOST     := -idirafter unikernel/net/lwip -isystem $(LWIP)/src/include
$(LWIP_UNIT): SANITIZED += $(LWIP_HOST)
$(LWIP_UNIT): $(LWIP_UNIT_OBJ) tests/unit/lwip_host.c

$(B)/tests/lwip/%.o: $(LWIP_CONF)
	$(dir)
	$(call say,LWIP,$*)
	$(Q)$(CC) -std=gnu17 -w -D_GNU_SOURCE= -O1 -g -fsanitize=address $(LWIP_HOST) $(DEPFLAGS) -c -o $@ $(LWIP)/src/$*.c

# With lwIP's ARP and buffers.
$(B)/tests/unit/test_net_timers: $(LWIP_CONF)
$(B)/tests/unit/test_net_timers: private WARN += -idirafter unikernel/net/lwip -isystem $(LWIP)/src/include
$(B)/tests/unit/test_net_timers: private TEST_LIBS := $(TEST_LIBS) \
	$(patsubst %,$(LWIP)/src/core/%.c,ipv4/etharp ipv4/ip4_addr pbuf mem memp def)

$(B)/tests/fuzz/%: tests/fuzz/%.c $(OURS)
	$(dir)
	$(call say,FUZZ,$<)
	$(Q)$(CLANG) -std=gnu17 -O1 -g -D_GNU_SOURCE= -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $@ $< $(call sources,$<) $(filter-out -lcmocka,$(TEST_LIBS))

# fuzz_net_rx has the guest's whole network in it: lwIP, sockets, and files, for these are some.
RX := $(B)/tests/fuzz-net-rx
RX_SRC := $(filter-out $(addprefix unikernel/net/,driver.c send.c memory.c),$(wildcard unikernel/net/*.c)) \
	$(patsubst %,unikernel/%.c,attr dev dir epoll etc eventfd fd file links names node path pipe poll proc \
	ramfs stat timerfd vfs walk) tests/unit/uk_mock.c
RX_OBJ := $(RX_SRC:%.c=$(RX)/%.o) $(LWIP_SRC:%=$(RX)/lwip/%.o)
RX_CONF := $(LWIP_CONF) $(wildcard noxs/*.h unikernel/*.h unikernel/net/*.h tests/unit/uk_mock.h)
# The kernel's own string.h and such are found where lwIP asks for them, libc's are for all else.
RX_FLAGS := -std=gnu17 -O1 -g -D_GNU_SOURCE= -D__SANITIZE_ADDRESS__ -fsanitize=fuzzer-no-link,address \
	$(LWIP_HOST)
RX_UBSAN := -fsanitize=undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined

$(RX)/lwip/%.o: $(RX_CONF)
	$(dir)
	$(Q)$(CLANG) $(RX_FLAGS) -w -c -o $@ $(LWIP)/src/$*.c

$(RX)/%.o: %.c $(RX_CONF)
	$(dir)
	$(Q)$(CLANG) $(RX_FLAGS) $(RX_UBSAN) -c -o $@ $<

$(B)/tests/fuzz/fuzz_net_rx: tests/fuzz/fuzz_net_rx.c $(RX_OBJ)
	$(dir)
	$(call say,FUZZ,$<)
	$(Q)$(CLANG) $(RX_FLAGS) $(RX_UBSAN) -fsanitize=fuzzer -Wl,--wrap=tcp_split_unsent_seg -o $@ $< $(RX_OBJ)

define guest_rule
$(B)/tests/$(1)/$(2)/%: tests/$(1)/%.c $$(wildcard tests/$(1)/*.h tests/guest/*.h noxs/*.h)
	$$(dir)
	$$(call say,GUEST,$$@)
	$$(Q)$(3) $$(GUEST_FLAGS) $(4) -o $$@ $$<
endef
$(eval $(call guest_rule,guest,musl,$(MUSL_CC)))
$(eval $(call guest_rule,guest,glibc,$(CC)))
$(eval $(call guest_rule,guest-crash,musl,$(MUSL_CC),-O0 -fno-omit-frame-pointer -w))
$(eval $(call guest_rule,guest-crash,glibc,$(CC),-O0 -fno-omit-frame-pointer -w))
$(eval $(call guest_rule,guest-cli,musl,$(MUSL_CC)))
$(eval $(call guest_rule,guest-hostile,musl,$(MUSL_CC)))
$(eval $(call guest_rule,net,musl,$(MUSL_CC)))
$(eval $(call guest_rule,net,glibc,$(CC)))

# Monitors one function of which is another, linked in front of the real one:
#   turncoat  turns on its host: every guest's run begins with what should not be possible
#   port      gives the run a port, as a shell's has, which does what its environment says
#   norings   has a kernel that does not let a guest at an AF_XDP socket's rings
# Nothing of them is in the real one.
define wrapped_rule
$(B)/tests/$(1)/$(1).o: tests/$(1)/$(1).c | $(B)/uapi
	$$(dir)
	$$(Q)$(MUSL_CC) $(MON_FLAGS) $(DEPFLAGS) -c -o $$@ $$<

$(B)/tests/$(1)/mayfly: $(B)/tests/$(1)/$(1).o $(MON_OBJ) | $(addprefix $(B)/mayfly-,image backtrace daemon client net)
	$$(call say,LD,$$@)
	$$(Q)$(CC) -nostdlib -static-pie -Wl,-z,text,-z,noexecstack,-z,relro,-z,now -Wl,--wrap=$(2) -o $$@ \
		$(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o $$^ $(MUSL_LIB)/libc.a \
		$(shell $(CC) -print-libgcc-file-name) $(MUSL_LIB)/crtn.o
	$$(Q)ln -f $(addprefix $(B)/mayfly-,image backtrace daemon client net) $$(@D)
endef
$(eval $(call wrapped_rule,turncoat,run_guest))
$(eval $(call wrapped_rule,port,run_guest))
$(eval $(call wrapped_rule,norings,net_prepare))
WRAPPED := $(patsubst %,$(B)/tests/%/mayfly,turncoat port norings)

check-build: all $(APPS) $(UNIT) $(FUZZ) $(GUESTS) $(WRAPPED)

check: ## install what the tests need, build, run them all on this machine's KVM
	@scripts/deps.sh build check
	@$(MAKE) --no-print-directory check-build
	@tests/programs/build.sh $(B)/tests/programs
	@tests/run.sh --build $(B)

check-amdv: ## the guest tests on AMD-V, in a QEMU machine without acceleration
	@scripts/deps.sh build check amdv
	@$(MAKE) --no-print-directory all $(GUESTS) $(addprefix $(B)/tests/unit/,test_cgroup_limits test_cgroup_place)
	@tests/programs/build.sh $(B)/tests/programs
	@tests/amdv/run.sh --build $(B)

FUZZ_SECONDS ?= 600
fuzz: ## run the fuzz targets for FUZZ_SECONDS each (600)
	@scripts/deps.sh build check
	@$(MAKE) --no-print-directory $(FUZZ)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run.sh --build $(B) fuzz

lint: ## formatting, include directions, generated tables, shellcheck, cppcheck
	@scripts/deps.sh build lint
	@$(MAKE) --no-print-directory -s $(B)/jail-filter
	@scripts/lint.sh $(B)

fmt: ## format the C code
	@scripts/deps.sh lint
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

# ---- benchmarks ----
BENCH := $(addprefix $(B)/bench/,boot memory syscall shell sustained density net net_jit hello idle answer)
BENCH_LIB := $(addprefix bench/,stats.c tool.c machine.c http.c daemon.c zygote.c) monitor/json.c
$(addprefix $(B)/bench/,boot memory shell sustained density net net_jit): $(BENCH_LIB) $(wildcard bench/*.h) monitor/wire.h
$(B)/bench/shell: bench/shell_report.c
$(B)/bench/density: $(addprefix bench/density_,vm.c command.c report.c)

$(B)/bench/%: bench/%.c | $(B)/uapi
	$(dir)
	$(call say,BENCH,$<)
	$(Q)$(MUSL_CC) -std=gnu17 -Wall -Wextra -O2 -g -static -idirafter $(B)/uapi -o $@ $(filter %.c,$^)

bench-build: all $(APPS) $(BENCH)

bench: ## boot, system-call, CPU and memory benchmarks, each in one run with its rivals
	@scripts/deps.sh build check bench
	@$(MAKE) --no-print-directory bench-build
	@tests/programs/build.sh $(B)/tests/programs
	@bench/run.sh --build $(B)

# ---- for people ----
demo: ## install what is missing, build, boot a program in a virtual machine
	@scripts/demo.sh $(B)

install: all ## install to PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/mayfly $(DESTDIR)$(PREFIX)/share/man/man1
	install $(B)/mayfly $(DESTDIR)$(PREFIX)/bin
	install $(addprefix $(B)/mayfly-,image backtrace daemon client net) $(DESTDIR)$(PREFIX)/libexec/mayfly
	install -m 644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 contrib/systemd/* $(DESTDIR)$(PREFIX)/lib/systemd/system

clean: ## remove what was built
	rm -rf $(B)

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)

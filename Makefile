# SPDX-License-Identifier: Apache-2.0
# mayfly: one Makefile, not recursive. `make help` lists the targets.

VERSION := 0.1.0
B       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=

CC      := gcc
MUSL_CC := musl-gcc
CLANG   := clang

WARN    := -std=gnu17 -Wall -Wextra -Werror
DEPFLAGS = -MMD -MP

.DEFAULT_GOAL := all
.PHONY: all demo check check-amdv bench lint fmt fuzz install clean deps help
.DELETE_ON_ERROR:

all: $(B)/mayfly $(B)/mayfly-image $(B)/mayfly-backtrace ## build everything (needs the packages of `make deps`)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

deps: ## install the Debian packages that a build needs (as root)
	@scripts/deps.sh build

# ---- the library kernel: freestanding, ring 3, general registers only ----
UK_FLAGS := $(WARN) -O2 -g -ffreestanding -fno-stack-protector -mgeneral-regs-only -fpie \
	-fvisibility=hidden -fcf-protection=none -fno-asynchronous-unwind-tables -fno-omit-frame-pointer
UK_SRC := $(wildcard unikernel/*.c)
UK_OBJ := $(UK_SRC:%.c=$(B)/%.o) $(B)/unikernel/entry.o

$(B)/unikernel/%.o: unikernel/%.c
	@mkdir -p $(@D)
	$(CC) $(UK_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/unikernel/entry.o: unikernel/entry.S $(B)/vdso.so
	@mkdir -p $(@D)
	$(CC) -DVDSO_FILE='"$(B)/vdso.so"' -c -o $@ $<

$(B)/vdso.so: unikernel/vdso/vdso.c unikernel/vdso/vdso.ld unikernel/vdso/vdso.map noxs/clock.h noxs/noxs.h
	@mkdir -p $(@D)
	$(CC) $(WARN) -O2 -ffreestanding -fPIC -fno-stack-protector -mgeneral-regs-only \
		-fvisibility=hidden -fcf-protection=none -nostdlib -shared -s \
		-Wl,-soname,linux-vdso.so.1 -Wl,--version-script=unikernel/vdso/vdso.map \
		-Wl,-T,unikernel/vdso/vdso.ld -Wl,--hash-style=both -Wl,-z,max-page-size=4096 -o $@ $<

$(B)/unikernel.elf: $(UK_OBJ) unikernel/kernel.ld
	ld -static -nostdlib -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		-T unikernel/kernel.ld -o $@ $(UK_OBJ)

$(B)/unikernel.bin: $(B)/unikernel.elf
	objcopy -O binary $< $@

# ---- the monitor: what a start waits for, static, musl ----
MON_FLAGS := $(WARN) -O2 -g -fpie -D_FILE_OFFSET_BITS=64 -DMAYFLY_VERSION='"$(VERSION)"' \
	-idirafter $(B)/uapi
MON_SRC := $(wildcard monitor/*.c)
MON_OBJ := $(MON_SRC:%.c=$(B)/%.o) $(B)/monitor/kernel_image.o

# musl's headers lack the kernel's: show them, and nothing else of the system's.
$(B)/uapi:
	@mkdir -p $@
	ln -sfn /usr/include/linux $@/linux
	ln -sfn /usr/include/asm-generic $@/asm-generic
	ln -sfn /usr/include/$(shell $(CC) -print-multiarch)/asm $@/asm

$(B)/monitor/%.o: monitor/%.c | $(B)/uapi
	@mkdir -p $(@D)
	$(MUSL_CC) $(MON_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/monitor/kernel_image.o: monitor/kernel_image.S $(B)/unikernel.bin
	@mkdir -p $(@D)
	$(CC) -DKERNEL_FILE='"$(B)/unikernel.bin"' -c -o $@ $<

$(B)/mayfly: $(MON_OBJ)
	$(MUSL_CC) -static -Wl,-z,noexecstack -Wl,-z,relro,-z,now -o $@ $(MON_OBJ)

# ---- the helpers: heavy libraries, run beside or before, glibc ----
IMG_LIBS := -l:libdw.a -l:libelf.a -l:libnettle.a -l:libjansson.a -lz -lZydis
IMG_SRC  := $(wildcard monitor/image/*.c)
IMG_OBJ  := $(IMG_SRC:%.c=$(B)/%.o) $(B)/helper/err.o
BT_SRC   := $(wildcard monitor/backtrace/*.c)
BT_OBJ   := $(BT_SRC:%.c=$(B)/%.o) $(B)/helper/err.o
HELPER_FLAGS := $(WARN) -O2 -g -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong

$(B)/monitor/image/%.o: monitor/image/%.c
	@mkdir -p $(@D)
	$(CC) $(HELPER_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/monitor/backtrace/%.o: monitor/backtrace/%.c
	@mkdir -p $(@D)
	$(CC) $(HELPER_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/helper/err.o: monitor/err.c
	@mkdir -p $(@D)
	$(CC) $(HELPER_FLAGS) $(DEPFLAGS) -c -o $@ $<

$(B)/mayfly-image: $(IMG_OBJ)
	$(CC) -o $@ $(IMG_OBJ) $(IMG_LIBS)

$(B)/mayfly-backtrace: $(BT_OBJ)
	$(CC) -o $@ $(BT_OBJ) -ldw -lelf

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)

clean: ## remove what was built
	rm -rf $(B)

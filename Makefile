# NAME
#     make - build, test and show Weft
#
# SYNOPSIS
#     make [TARGET] [VARIABLE=VALUE ...]
#
# TARGETS
#     all        build the program ./weft (default); says what is missing
#     demo       install what is missing, build, run the first comparison, and
#                draw it
#     report     draw demo.h5 again
#     check      install what is missing, build, run all tests
#     test       build and run all tests but the long ones
#     test-long  the same with the long ones
#     asan       unit and MPI tests under the address and undefined-behaviour
#                sanitizers, in their own build folder
#     fuzz       every parser of foreign files under libFuzzer and sanitizers,
#                FUZZ_SECONDS each (clang; libclang-rt-14-dev on Debian 12)
#     lint       layers, foreign headers, line lengths, clang-format, and
#                warnings of clang as a second compiler
#     format     rewrite sources with clang-format
#     bench      micro-benchmarks, and the figures of a gpt-neo-125m step
#     install    program, configs, manual and completion (bash,
#                zsh) below PREFIX
#     uninstall  takes away what was installed there
#     deps       install what is missing (apt; as root or through sudo)
#     clean      remove everything that was built
#     help       this text
#
# VARIABLES
#     ARCH      instruction set              [-march=native]
#     CFLAGS    optimisation and debugging   [-O2 -g]
#     VECFLAGS  extra for the vector kernels (files vec_*.c)
#     BUILD     where objects go             [build]
#     SAN       sanitizer flags              [none]
#     TESTS     pattern of tests to run      [all], e.g. TESTS='unit/*'
#     FUZZ_SECONDS of a target            [60]
#     PREFIX    for install                  [/usr/local]
#     DESTDIR   stage for install            [none]
#     OMPI_CC   compiler under mpicc, from the environment: OMPI_CC=clang make
#
# EXAMPLES
#     make -j && ./weft --help
#     make test TESTS='mpi/test_comm*'
#     make BUILD=build-debug CFLAGS='-O0 -g -DWEFT_DEBUG'
#
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

CC = mpicc
AR = ar
BUILD = build
PREFIX = /usr/local
DESTDIR =
TESTS =
FUZZ_SECONDS = 60
SAN =
ARCH = -march=native
CFLAGS = -O2 -g

# No contraction into fused multiply-adds by the compiler: whether it happens
# would depend on how code is inlined, and with it the bits of the results.
MODE = -std=gnu17 $(ARCH) -fopenmp -ffp-contract=off
WARN = -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion \
    -Wstrict-prototypes -Wmissing-prototypes -Wvla

# Only for element-wise loops whose function calls are to become vector calls
# of libmvec: vec.h declares those, so no fast-math is needed, and there is none
# anywhere. Without errno the compiler may call them.
VECFLAGS = -O3 -fno-math-errno -ffp-contract=off -mprefer-vector-width=512

# --- libraries -----------------------------------------------------------

# The multi-threaded BLIS by its own folder: libblis.so.4 alone could be any of
# three builds, chosen by the alternatives of the machine.
MULTIARCH := $(shell gcc -print-multiarch 2>/dev/null)
BLIS_LIB := /usr/lib/$(MULTIARCH)/blis-openmp
BLIS_INC := /usr/include/$(MULTIARCH)/blis-openmp
PKGS := hdf5-openmpi jansson popt liburing libxxhash libpcre2-8
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

# -isystem: warnings inside foreign headers are not ours.
CPPFLAGS = -I. $(patsubst -I%,-isystem %,$(PKG_CFLAGS)) -isystem $(BLIS_INC)
LDFLAGS = -fopenmp -Wl,-rpath,$(BLIS_LIB)
LDLIBS = -lhdf5_hl $(PKG_LIBS) -L$(BLIS_LIB) -lblis -lm -lpthread

# --- sources: new files are picked up by themselves ----------------------

BENCH_SRC := $(wildcard benchmarks/bench_*.c)
LIB_SRC := $(filter-out runtime/app/main.c $(BENCH_SRC), \
    $(wildcard runtime/*/*.c runtime/*/*/*.c ws/*.c ws/*/*.c \
    partition/*.c partition/*/*.c benchmarks/*.c))
# One executable a test_*.c; other files beside them are their helpers.
UNIT_SRC := $(wildcard $(foreach d,unit golden equiv fault fuzz, \
    tests/$(d)/test_*.c))
MPI_SRC := $(wildcard tests/mpi/test_*.c)
HELP_SRC := $(filter-out $(UNIT_SRC) $(MPI_SRC), \
    $(wildcard tests/unit/*.c tests/mpi/*.c tests/common/*.c))
CANARY_SRC := $(wildcard tests/canary/*.c)
# Targets of the fuzzer, and what each needs; also linked into test_replay.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_FRAME := tests/fuzz/frame.c

# Empty where there is no git or no history; -dirty where files have changed.
COMMIT := $(shell [ -e .git ] && \
    git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)
# Named by configs/experiments/demo.json, whatever BUILD is.
KJV = build/data/kjv.txt

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
exe = $(patsubst %.c,$(BUILD)/%,$(1))
LIB := $(BUILD)/libweft.a
TEST_EXE := $(call exe,$(UNIT_SRC) $(MPI_SRC) $(CANARY_SRC))

ALL_SRC := $(LIB_SRC) runtime/app/main.c $(UNIT_SRC) $(MPI_SRC) $(HELP_SRC) \
    $(CANARY_SRC) $(BENCH_SRC) $(FUZZ_SRC) $(FUZZ_FRAME)
FORMATTED = $(shell find runtime ws partition benchmarks tests -name '*.[ch]')

# --- program -------------------------------------------------------------

.PHONY: all demo report check test test-long asan fuzz lint format bench \
    install uninstall deps \
    clean help need need-test need-unit tests program FORCE

all: need
	@$(MAKE) --no-print-directory program

# In a make of its own, so that what deps installed is seen by pkg-config.
program: $(LIB) $(if $(wildcard runtime/app/main.c),$(BUILD)/weft)
	@if [ -x $(BUILD)/weft ] && [ $(BUILD) = build ]; then \
	    ln -sf $(BUILD)/weft weft; fi

need:
	@tests/deps.sh --check

# Else the compiler would say it, or tests that fail. A pattern of tests may
# need no more than the first.
need-test:
	@tests/deps.sh --check-test

need-unit:
	@tests/deps.sh --check-unit

deps:
	@tests/deps.sh

$(BUILD)/weft: $(call obj,runtime/app/main.c) $(LIB) $(BUILD)/flags
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

# Made anew each time: two files of one name in two folders must both be in.
$(LIB): $(call obj,$(LIB_SRC)) $(BUILD)/objects
	@rm -f $@
	@$(AR) qcs $@ $(call obj,$(LIB_SRC))

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(MODE) $(WARN) $(SAN) $(EXTRA) \
	    -MMD -MP -c -o $@ $<

$(BUILD)/runtime/math/opt/vec_%.o: EXTRA = $(VECFLAGS)

# Results name the commit they come from. Only this file knows it, so that a
# new commit compiles nothing else.
$(BUILD)/runtime/train/host.o: EXTRA = -DWEFT_COMMIT='"$(COMMIT)"'
$(BUILD)/runtime/train/host.o: $(BUILD)/commit

# Stamps, touched only when their text changes: other flags rebuild all, another
# set of files rebuilds the library, another commit the file that names it.
stamp = mkdir -p $(@D); printf '%s\n' '$(1)' | cmp -s - $@ || \
    printf '%s\n' '$(1)' > $@

$(BUILD)/flags: FORCE
	@$(call stamp,$(CC) $(OMPI_CC) $(CPPFLAGS) $(CFLAGS) $(MODE) $(WARN) \
	    $(SAN) $(VECFLAGS) $(LDFLAGS) $(LDLIBS))

$(BUILD)/objects: FORCE
	@$(call stamp,$(LIB_SRC))

$(BUILD)/commit: FORCE
	@$(call stamp,$(COMMIT))

# --- tests and benchmarks ------------------------------------------------

tests: $(TEST_EXE) program

$(call exe,$(UNIT_SRC) $(MPI_SRC)): $(BUILD)/%: $(BUILD)/%.o \
    $(call obj,$(HELP_SRC)) $(LIB)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $(filter %.o,$^) \
	    $(LIB) -lcmocka $(LDLIBS)

$(BUILD)/tests/fuzz/test_replay: $(call obj,$(FUZZ_SRC) $(FUZZ_FRAME))

$(call exe,$(FUZZ_SRC)): $(BUILD)/%: $(BUILD)/%.o $(call obj,$(FUZZ_FRAME)) \
    $(LIB)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -fsanitize=fuzzer -o $@ \
	    $(filter %.o,$^) $(LIB) $(LDLIBS)

$(call exe,$(CANARY_SRC)): $(BUILD)/%: $(BUILD)/%.o $(LIB)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $< $(LIB) -lcmocka $(LDLIBS)

$(call exe,$(BENCH_SRC)): $(BUILD)/%: $(BUILD)/%.o $(LIB)
	$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

test: $(if $(TESTS),need-unit,need-test)
	@$(MAKE) --no-print-directory tests
	@tests/run.sh --build $(BUILD) $(if $(TESTS),--only '$(TESTS)')

test-long: $(if $(TESTS),need-unit,need-test)
	@$(MAKE) --no-print-directory tests
	@tests/run.sh --build $(BUILD) --long $(if $(TESTS),--only '$(TESTS)')

check: deps
	@$(MAKE) --no-print-directory test

# DASSERTs are on here. Leaks count, but not those of Open MPI itself.
asan: need-unit
	@$(MAKE) --no-print-directory tests BUILD=build-asan \
	    CFLAGS='-O1 -g -fno-omit-frame-pointer -DWEFT_DEBUG' \
	    SAN='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
	@tests/run.sh --build build-asan --asan $(if $(TESTS),--only '$(TESTS)')

fuzz: need
	@tests/deps.sh --fuzz
	@OMPI_CC=clang $(MAKE) --no-print-directory fuzz-run BUILD=build-fuzz \
	    CFLAGS='-O1 -g -DWEFT_FUZZER -DWEFT_DEBUG' \
	    SAN='-fsanitize=fuzzer-no-link,address,undefined \
	    -fno-sanitize-recover=undefined'

.PHONY: fuzz-run
fuzz-run: $(call exe,$(FUZZ_SRC))
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(call exe,$(FUZZ_SRC))

demo:
	@tests/deps.sh --demo
	@$(MAKE) --no-print-directory demo-parts
	./weft calibrate --quick -o build/host.json
	./weft compare configs/experiments/demo.json --machine build/host.json \
	    --out demo.h5
	./weft report demo.h5 -o demo.html

report: program
	@[ -e demo.h5 ] || { echo "weft: there is no demo.h5 yet: 'make demo'" \
	    "makes it, or use ./weft report FILE.h5 ..." >&2; exit 66; }
	./weft report demo.h5 -o demo.html

.PHONY: demo-parts
demo-parts: program $(KJV)
	@:

# The text of the demo, from the Debian package bible-kjv. It gets its name
# when it is whole.
$(KJV):
	@mkdir -p $(@D)
	@command -v bible >/dev/null || { echo "weft: the command 'bible' is" \
	    "missing, it makes $@: install Debian's package bible-kjv, or put" \
	    "any text there" >&2; exit 1; }
	@bible Gen1:1-Rev22:21 </dev/null >$@.$$$$ && test -s $@.$$$$ && \
	    mv $@.$$$$ $@ || { rm -f $@.$$$$; echo "weft: 'bible' did not" \
	    "write $@" >&2; exit 1; }

bench: need
	@$(MAKE) --no-print-directory bench-run

.PHONY: bench-run
bench-run: $(call exe,$(BENCH_SRC)) program $(KJV)
	@for b in $(call exe,$(BENCH_SRC)); do echo "== $$b"; $$b || exit 1; done
	@echo "== weft bench"; $(BUILD)/weft bench
	@echo "== ranks"; $(BUILD)/weft bench --only ranks --rounds 3
	@echo "== reference"; $(BUILD)/weft bench --only reference \
	    --layers 1 --seq 16

lint:
	@tests/deps.sh --lint
	@tests/lint/layers.sh
	@tests/lint/text.sh
	@clang-format --dry-run -Werror $(FORMATTED) && echo 'lint: format ok'
	@tests/lint/clang.sh '$(CPPFLAGS)' '$(MODE)' '$(WARN)' $(ALL_SRC)

format:
	@tests/deps.sh --lint
	clang-format -i $(FORMATTED)

# --- house-keeping -------------------------------------------------------

# The manual and the completion are made by the program from its own option
# tables, so they are never older than it. base/shelf.h knows where configs
# are.
$(BUILD)/weft.1: $(BUILD)/weft
	$(BUILD)/weft help --man >$@

$(BUILD)/weft.bash: $(BUILD)/weft
	$(BUILD)/weft help --completion bash >$@

$(BUILD)/weft.zsh: $(BUILD)/weft
	$(BUILD)/weft help --completion zsh >$@

# As they were given: a shell reads them from the environment, in which spaces
# and quotes mean nothing.
install uninstall: export PREFIX_GIVEN = $(value PREFIX)
install uninstall: export DESTDIR_GIVEN = $(value DESTDIR)
placed = PREFIX="$$PREFIX_GIVEN" DESTDIR="$$DESTDIR_GIVEN" \
    runtime/app/install.sh

install: all
	@$(MAKE) --no-print-directory $(BUILD)/weft.1 $(BUILD)/weft.bash \
	    $(BUILD)/weft.zsh
	@$(placed) install '$(BUILD)'

uninstall:
	@$(placed) uninstall

clean:
	rm -rf build build-asan build-fuzz weft

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

-include $(patsubst %.c,$(BUILD)/%.d,$(ALL_SRC))

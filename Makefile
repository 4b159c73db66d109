# Kith.  `make` builds the programs, `make check` runs every test, `make help` lists the rest.
#
# Variants build beside each other, so nobody needs `make clean`:
#   make                                 build/plain
#   make SANITIZE=address,undefined      build/san
#   make COVERAGE=1                      build/cov
# WERROR=1 turns warnings into errors (developers and CI), V=1 shows the commands.

prefix     ?= /usr/local
libexecdir ?= $(prefix)/libexec/kith
datadir    ?= $(prefix)/share/kith

say = @$(if $(V),,echo '  $(1)' $@;)
PKGS := fcgi libpq yajl libjwt libcrypto libcrypt libcurl libmagic
# Before 1.10 libjwt lacks what lib/token.c calls, and from 3 on it is another library.
ifeq ($(filter clean help,$(MAKECMDGOALS)),)
ifneq ($(shell pkg-config 'libjwt >= 1.10' 'libjwt < 3' && echo fine),fine)
$(error Kith needs libjwt 1.10 or later, but not 3: install libjwt-dev)
endif
endif
BUILD := build/$(if $(SANITIZE),san,$(if $(COVERAGE),cov,plain))

WARN := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
WARN += $(if $(WERROR),-Werror)
HARDEN := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
HARDEN += $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
CFLAGS ?= -O2 -g
ALL_CPPFLAGS := -Ilib -D_GNU_SOURCE $(CPPFLAGS)
ALL_CFLAGS := -std=gnu11 $(WARN) $(HARDEN) $(shell pkg-config --cflags $(PKGS)) $(CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
LIBS := $(shell pkg-config --libs $(PKGS)) -lm
ifdef SANITIZE
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
ALL_CPPFLAGS += -DKITH_TEST
endif
ifdef COVERAGE
ALL_CFLAGS += --coverage -O0
ALL_LDFLAGS += --coverage
ALL_CPPFLAGS += -DKITH_TEST
endif

# Resources share an executable, and so a parent and most of its memory, but for those that keep secrets of their own
# or bring libraries that the others do without.  Any other can be had alone too: make build/plain/kith-users.
# cgi-bin/auth-*.c are parts of auth, and so is kith-passwords, which has processes of its own.  kith-clips writes files,
# which only the executable of storage does.
RESOURCES := $(foreach f,$(patsubst cgi-bin/%.c,%,$(wildcard cgi-bin/*.c)),$(if $(findstring -,$f),,$f))
RESOURCES := $(filter-out worker,$(RESOURCES))
APART := $(filter auth storage webhooks checkout,$(RESOURCES))
auth_and := $(filter passwords,$(RESOURCES))
storage_and := $(filter clips,$(RESOURCES))
SHARED := $(filter-out $(APART) $(auth_and) $(storage_and),$(RESOURCES))
SERVERS := $(BUILD)/kith-programs $(APART:%=$(BUILD)/kith-%)
PROGRAMS := $(SERVERS) $(BUILD)/kith-worker
LIB_OBJS := $(patsubst lib/%.c,$(BUILD)/lib/%.o,$(wildcard lib/*.c))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%.t,$(filter-out tests/unit/unit.c,$(wildcard tests/unit/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/*.c))
FUZZ_SECONDS ?= 60

.PHONY: all unit check systems bench bench-search bench-memory bench-storage bench-webhooks chaos fuzz mutate plans install clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS) $(BUILD)/routes.conf
unit: $(UNIT)

# The resources of an executable, and their objects.
linked = $(if $(filter programs,$1),$(SHARED),$1 $($1_and))
objects = $(foreach r,$(call linked,$1),$(patsubst %.c,$(BUILD)/%.o,cgi-bin/$r.c $(wildcard cgi-bin/$r-*.c)))

.SECONDEXPANSION:
$(BUILD)/kith-%: $(BUILD)/main/%.o $$(call objects,%) $(BUILD)/libkith.a
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Serves nobody, and brings its own main.
$(BUILD)/kith-worker: $(call objects,worker) $(BUILD)/libkith.a
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# A main names the resources that are linked with it; a new one makes another main of kith-programs.
$(BUILD)/main/programs.o: cgi-bin
$(RESOURCES:%=$(BUILD)/main/%.o) $(BUILD)/main/programs.o: $(BUILD)/main/%.o: Makefile
	@mkdir -p $(@D)
	@printf '%s\n' '#include "resource.h"' '$(foreach r,$(call linked,$*),extern const struct kith_resource kith_$(r);)' \
	    'static const struct kith_resource *const resources[] = { $(foreach r,$(call linked,$*),&kith_$(r),) 0 };' \
	    'int main(int argc, char **argv) { return kith_serve(resources, argc, argv); }' >$(@:.o=.c)
	$(call say,CC) $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $(@:.o=.c)

$(BUILD)/libkith.a: $(LIB_OBJS)
	@rm -f $@
	$(call say,AR) $(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# A route is written once, in the program's declaration.
$(BUILD)/routes.conf: nginx/routes $(SERVERS)
	nginx/routes $(SERVERS) >$@

$(BUILD)/tests/%.t: $(BUILD)/tests/unit/%.o $(BUILD)/tests/unit/unit.o $(BUILD)/libkith.a
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

build/fuzz/%: tests/fuzz/%.c $(wildcard lib/*.[ch])
	@mkdir -p $(@D)
	clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Ilib -D_GNU_SOURCE \
	    $(shell pkg-config --cflags $(PKGS)) -o $@ $< $(wildcard lib/*.c) $(LIBS)

# --- what people run --------------------------------------------------------

check:
	scripts/kith test

# What works of each system, as README says it.
systems:
	scripts/kith test -v $(sort $(filter-out %/walk.mjs,$(wildcard tests/systems/*.mjs))) | tests/systems/report

bench: all
	scripts/kith bench

bench-search: all
	tests/bench/search

bench-memory: all
	tests/bench/memory

bench-storage: all
	tests/bench/storage

bench-webhooks: all
	tests/bench/webhooks

# Events of 500 subscriptions, copied, shuffled and sixteen at once, while programs and PostgreSQL are killed; kith test
# has a twentieth of it.  Takes minutes.
chaos:
	CHAOS_DELIVERIES=10000 scripts/kith test -v tests/fault/webhooks.t

# Each target for FUZZ_SECONDS, from its corpus in tests/fuzz/corpus; what it finds on the way stays in build/fuzz.
fuzz: $(FUZZERS)
	@for f in $(FUZZERS); do \
	    name=$$(basename $$f); mkdir -p build/fuzz/found/$$name; echo "fuzzing $$name for $(FUZZ_SECONDS) s"; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -artifact_prefix=build/fuzz/ \
	        build/fuzz/found/$$name tests/fuzz/corpus/$$name >build/fuzz/$$name.log 2>&1 || { tail -30 build/fuzz/$$name.log; exit 1; }; \
	    grep -E 'number_of_executed_units|new_units_added' build/fuzz/$$name.log; \
	done

# Breaks each rule that keeps users apart, one by one: the tests have to find all of them.  Takes minutes.
mutate:
	scripts/kith test tests/mutate/rules.t

# The plans of the list queries with 100,000 rows in each table; kith test has a tenth of them.
plans:
	PLANS_ROWS=100000 scripts/kith test tests/sql/plans.t

install: all
	install -d $(DESTDIR)$(libexecdir) $(DESTDIR)$(datadir)/sql/dialects $(DESTDIR)$(datadir)/nginx/pages $(DESTDIR)$(datadir)/mail \
	    $(DESTDIR)$(prefix)/bin
	install $(PROGRAMS) $(DESTDIR)$(libexecdir)
	install -m 644 $(wildcard sql/*.sql) $(DESTDIR)$(datadir)/sql
	install -m 644 $(wildcard sql/dialects/*.sql) $(DESTDIR)$(datadir)/sql/dialects
	install -m 644 $(wildcard nginx/*.conf) $(BUILD)/routes.conf $(DESTDIR)$(datadir)/nginx
	install -m 644 $(wildcard nginx/pages/*) $(DESTDIR)$(datadir)/nginx/pages
	install -m 644 $(wildcard cgi-bin/mail/*.txt cgi-bin/mail/*.html) $(DESTDIR)$(datadir)/mail
	cp -R scripts $(DESTDIR)$(datadir)/
	ln -sf $(datadir)/scripts/kith $(DESTDIR)$(prefix)/bin/kith

clean:
	rm -rf build

help:
	@echo 'make               programs into $(BUILD)'
	@echo 'make unit          unit tests into $(BUILD)/tests'
	@echo 'make check         every test (scripts/kith test)'
	@echo 'make systems       the five systems, document by document, as a table'
	@echo 'make bench         speed against pgbench and Fastify'
	@echo 'make bench-search  speed of semantic search'
	@echo 'make bench-memory  speed of saving a memory and of reading any version of it'
	@echo 'make bench-storage speed of files, lists and signed URLs'
	@echo 'make bench-webhooks  speed of taking events of providers'
	@echo 'make chaos         10,000 events of payments while programs and PostgreSQL are killed'
	@echo 'make fuzz          each fuzz target for FUZZ_SECONDS (60)'
	@echo 'make mutate        breaks the rights of the schema, one by one, for the tests to find'
	@echo 'make plans         plans of the list queries at 100,000 rows'
	@echo 'make install       into DESTDIR and prefix'
	@echo 'make clean         removes what was built'

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/tests/unit/*.d)

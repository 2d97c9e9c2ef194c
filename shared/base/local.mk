# shared/base: libbase.a.

noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	shared/base/arena.c shared/base/arena.h \
	shared/base/buf.c shared/base/buf.h \
	shared/base/bytes.h \
	shared/base/clock.c shared/base/clock.h \
	shared/base/err.c shared/base/err.h \
	shared/base/fd.c shared/base/fd.h \
	shared/base/forbidden.h \
	shared/base/hash.c shared/base/hash.h \
	shared/base/log.c shared/base/log.h \
	shared/base/network.c shared/base/network.h \
	shared/base/num.h \
	shared/base/secret.c shared/base/secret.h \
	shared/base/slice.h
# xxhash.h only: hash.c inlines it.
libbase_a_CPPFLAGS = $(AM_CPPFLAGS) $(XXHASH_CFLAGS)

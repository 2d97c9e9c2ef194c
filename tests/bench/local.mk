# tests/bench: `make bench` builds these and runs tests/bench/run.

EXTRA_PROGRAMS += tests/bench/forward_load tests/bench/otlp_sink
bench_programs += tests/bench/forward_load tests/bench/otlp_sink

tests_bench_forward_load_SOURCES = \
	tests/bench/forward_load.c \
	tests/bench/hist.c tests/bench/hist.h \
	tests/bench/load_conn.c tests/bench/load_conn.h \
	tests/bench/load_record.c tests/bench/load_record.h \
	tests/bench/load_wire.c tests/bench/load_wire.h
tests_bench_forward_load_LDADD = libbase.a $(ISAL_LIBS) $(CRYPTO_LIBS)

tests_bench_otlp_sink_SOURCES = \
	tests/bench/otlp_sink.c \
	tests/bench/hist.c tests/bench/hist.h \
	tests/bench/sink_body.c tests/bench/sink_body.h \
	tests/bench/sink_count.c tests/bench/sink_count.h \
	tests/bench/sink_http.c tests/bench/sink_http.h \
	tests/bench/sink_walk.c tests/bench/sink_walk.h
tests_bench_otlp_sink_LDADD = libbase.a $(ISAL_LIBS) $(ZSTD_LIBS)

EXTRA_DIST += tests/bench/run tests/bench/selftest

# Sink and generator against each other and against hand-made bytes, without the product.
.PHONY: bench-selftest
bench-selftest: $(bench_programs)
	$(srcdir)/tests/bench/selftest --build $(abs_builddir)

# What a record costs in the processor's innermost part: tests/bench/convert_bench --help.
EXTRA_PROGRAMS += tests/bench/convert_bench
tests_bench_convert_bench_SOURCES = \
	tests/bench/convert_bench.c \
	tests/bench/load_record.c tests/bench/load_record.h
tests_bench_convert_bench_LDADD = libconvert.a libotlp.a libbase.a $(ISAL_LIBS) $(ZLIB_LIBS) \
	$(ZSTD_LIBS) $(XXHASH_LIBS) $(CRYPTO_LIBS) -lm

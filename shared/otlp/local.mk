# shared/otlp: libotlp.a, OpenTelemetry logs as bytes. Needs ISAL_LIBS, ZLIB_LIBS, ZSTD_LIBS and -lm.
noinst_LIBRARIES += libotlp.a
libotlp_a_SOURCES = \
	shared/otlp/frame.h \
	shared/otlp/frame_codec.c shared/otlp/frame_codec.h \
	shared/otlp/gzip_join.c shared/otlp/gzip_join.h \
	shared/otlp/json_put.c shared/otlp/json_put.h \
	shared/otlp/pb.h \
	shared/otlp/record_cut.c shared/otlp/record_cut.h \
	shared/otlp/transcode.c shared/otlp/transcode.h \
	shared/otlp/utf8.c shared/otlp/utf8.h

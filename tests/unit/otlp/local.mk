# Unit tests of otlp: one program tests/unit/otlp/test_x per module.
UNIT_OTLP_LIBS = libotlp.a libbase.a $(ISAL_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS) $(CMOCKA_LIBS) -lm

check_PROGRAMS += tests/unit/otlp/test_pb
tests_unit_otlp_test_pb_SOURCES = tests/unit/otlp/test_pb.c
tests_unit_otlp_test_pb_LDADD = $(UNIT_OTLP_LIBS)

check_PROGRAMS += tests/unit/otlp/test_utf8
tests_unit_otlp_test_utf8_SOURCES = tests/unit/otlp/test_utf8.c
tests_unit_otlp_test_utf8_LDADD = $(UNIT_OTLP_LIBS)

check_PROGRAMS += tests/unit/otlp/test_frame_codec
tests_unit_otlp_test_frame_codec_SOURCES = tests/unit/otlp/test_frame_codec.c
tests_unit_otlp_test_frame_codec_LDADD = $(UNIT_OTLP_LIBS)

check_PROGRAMS += tests/unit/otlp/test_transcode
tests_unit_otlp_test_transcode_SOURCES = tests/unit/otlp/test_transcode.c
tests_unit_otlp_test_transcode_CPPFLAGS = $(AM_CPPFLAGS) $(JSONC_CFLAGS)
tests_unit_otlp_test_transcode_LDADD = $(JSONC_LIBS) $(UNIT_OTLP_LIBS)

check_PROGRAMS += tests/unit/otlp/test_record_cut
tests_unit_otlp_test_record_cut_SOURCES = tests/unit/otlp/test_record_cut.c
tests_unit_otlp_test_record_cut_LDADD = $(UNIT_OTLP_LIBS)

# What tests/e2e/test_transcode.py compares with Google's decoder.
noinst_PROGRAMS += tests/unit/otlp/transcode-lines
tests_unit_otlp_transcode_lines_SOURCES = tests/unit/otlp/transcode_lines.c
tests_unit_otlp_transcode_lines_LDADD = libotlp.a libbase.a -lm

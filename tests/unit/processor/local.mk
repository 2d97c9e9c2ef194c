# Unit tests of processor: one program tests/unit/processor/test_x per module.
UNIT_PROCESSOR_SOURCES = tests/unit/processor/support.c tests/unit/processor/support.h
UNIT_PROCESSOR_LIBS = libconvert.a libotlp.a libbase.a $(ISAL_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS) \
	$(XXHASH_LIBS) $(JSONC_LIBS) $(CMOCKA_LIBS) -lm

check_PROGRAMS += tests/unit/processor/test_convert
tests_unit_processor_test_convert_SOURCES = \
	tests/unit/processor/test_convert.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_convert_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_converter_properties
tests_unit_processor_test_converter_properties_SOURCES = \
	tests/unit/processor/test_converter_properties.c \
	tests/unit/processor/generate.c tests/unit/processor/generate.h \
	tests/unit/processor/leaves.c tests/unit/processor/leaves.h \
	tests/unit/processor/otlp_check.c tests/unit/processor/otlp_check.h \
	tests/unit/processor/story.c tests/unit/processor/story.h \
	$(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_converter_properties_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_fields
tests_unit_processor_test_fields_SOURCES = \
	tests/unit/processor/test_fields.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_fields_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_allocations
tests_unit_processor_test_allocations_SOURCES = \
	tests/unit/processor/test_allocations.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_allocations_LDFLAGS = \
	$(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
tests_unit_processor_test_allocations_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_record
tests_unit_processor_test_record_SOURCES = \
	tests/unit/processor/test_record.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_record_LDADD = $(UNIT_PROCESSOR_LIBS)
EXTRA_DIST += tests/unit/processor/golden/records.txt

check_PROGRAMS += tests/unit/processor/test_frame_builder
tests_unit_processor_test_frame_builder_SOURCES = \
	tests/unit/processor/test_frame_builder.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_frame_builder_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_golden
tests_unit_processor_test_golden_SOURCES = \
	tests/unit/processor/test_golden.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_golden_LDADD = $(UNIT_PROCESSOR_LIBS)
EXTRA_DIST += \
	tests/unit/processor/golden/README.md \
	tests/unit/processor/golden/severity.tsv \
	tests/unit/processor/golden/time.tsv \
	tests/unit/processor/golden/trace.tsv

check_PROGRAMS += tests/unit/processor/test_key_set
tests_unit_processor_test_key_set_SOURCES = \
	tests/unit/processor/test_key_set.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_key_set_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_kvlist_keys
tests_unit_processor_test_kvlist_keys_SOURCES = \
	tests/unit/processor/test_kvlist_keys.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_kvlist_keys_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_mp
tests_unit_processor_test_mp_SOURCES = \
	tests/unit/processor/test_mp.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_mp_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_json_mp
tests_unit_processor_test_json_mp_SOURCES = \
	tests/unit/processor/test_json_mp.c \
	tests/unit/processor/mp_say.c tests/unit/processor/mp_say.h $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_json_mp_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_json_mp_random
tests_unit_processor_test_json_mp_random_SOURCES = \
	tests/unit/processor/test_json_mp_random.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_json_mp_random_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_mp_write
tests_unit_processor_test_mp_write_SOURCES = \
	tests/unit/processor/test_mp_write.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_mp_write_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_text_json
tests_unit_processor_test_text_json_SOURCES = \
	tests/unit/processor/test_text_json.c \
	tests/unit/processor/mp_say.c tests/unit/processor/mp_say.h $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_text_json_LDADD = $(UNIT_PROCESSOR_LIBS)

check_PROGRAMS += tests/unit/processor/test_text
tests_unit_processor_test_text_SOURCES = \
	tests/unit/processor/test_text.c tests/unit/processor/text_check.h $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_text_LDADD = $(UNIT_PROCESSOR_LIBS)
EXTRA_DIST += \
	tests/unit/processor/golden/text.txt \
	tests/unit/processor/golden/text_bracket.txt \
	tests/unit/processor/golden/text_cri.txt \
	tests/unit/processor/golden/text_klog.txt \
	tests/unit/processor/golden/text_logfmt.txt \
	tests/unit/processor/golden/text_plain.txt \
	tests/unit/processor/golden/text_syslog.txt

check_PROGRAMS += tests/unit/processor/test_otlp_value
tests_unit_processor_test_otlp_value_SOURCES = \
	tests/unit/processor/test_otlp_value.c $(UNIT_PROCESSOR_SOURCES)
tests_unit_processor_test_otlp_value_LDADD = $(UNIT_PROCESSOR_LIBS)

# With the simulation's disk, clock and sync thread.
check_PROGRAMS += tests/unit/processor/test_lane
tests_unit_processor_test_lane_SOURCES = \
	tests/unit/processor/test_lane.c \
	tests/sim/sim_clock.c tests/sim/sim_committer.c tests/sim/sim_disk.c
tests_unit_processor_test_lane_LDADD = \
	liblane.a libconvert.a libjournal.a libotlp.a libipc.a libbase.a \
	$(JSONC_LIBS) $(ISAL_LIBS) $(ZSTD_LIBS) $(XXHASH_LIBS) $(ZLIB_LIBS) $(CMOCKA_LIBS) -lm

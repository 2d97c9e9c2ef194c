# processor: the stage that turns chunks into journal frames (sluice-processor).

# Chunks to OTLP frames, for the stage, its tests and the benchmark. Links against libotlp.a,
# libbase.a, ISAL_LIBS, ZLIB_LIBS, ZSTD_LIBS and -lm.
noinst_LIBRARIES += libconvert.a
libconvert_a_SOURCES = \
	processor/chunk.h \
	processor/convert.c processor/convert.h \
	processor/frame_builder.c processor/frame_builder.h \
	processor/inflate.c processor/inflate.h \
	processor/json_decimal.c processor/json_decimal.h \
	processor/json_mp.c processor/json_mp.h \
	processor/key_set.c processor/key_set.h \
	processor/kvlist_keys.c processor/kvlist_keys.h \
	processor/metadata.c processor/metadata.h \
	processor/mp.c processor/mp.h \
	processor/mp_encode.h \
	processor/mp_write.c processor/mp_write.h \
	processor/name_table.c processor/name_table.h \
	processor/otlp_out.h \
	processor/otlp_value.c processor/otlp_value.h \
	processor/record.c processor/record.h processor/record_internal.h \
	processor/record_attributes.c \
	processor/record_names.c \
	processor/record_nest.c \
	processor/record_pairs.c \
	processor/record_text.c \
	processor/resource.c processor/resource.h \
	processor/scope.c processor/scope.h \
	processor/scan.c processor/scan.h \
	processor/severity.c processor/severity.h \
	processor/text.c processor/text.h \
	processor/text_bracket.c \
	processor/text_cri.c \
	processor/text_json.c \
	processor/text_klog.c \
	processor/text_logfmt.c \
	processor/text_plain.c \
	processor/text_syslog.c \
	processor/timestamp.c processor/timestamp.h \
	processor/trace_context.c processor/trace_context.h

# The lane engine, for the stage, its tests and the simulation (which has a committer of its own).
noinst_LIBRARIES += liblane.a
liblane_a_SOURCES = \
	processor/commit_job.c processor/commit_job.h \
	processor/lane.c processor/lane.h \
	processor/leftover.c processor/leftover.h \
	processor/quarantine.c processor/quarantine.h

pkglibexec_PROGRAMS += processor/sluice-processor
processor_sluice_processor_SOURCES = \
	processor/committer.c processor/committer.h \
	processor/main.c \
	processor/stage.c processor/stage.h
processor_sluice_processor_LDADD = liblane.a libconvert.a libjournal.a libotlp.a $(LIBS_ROLE) \
	$(JSONC_LIBS) $(ISAL_LIBS) $(ZSTD_LIBS) $(XXHASH_LIBS) $(ZLIB_LIBS) -lm

# processor: the stage that turns chunks into journal frames (sluice-processor).

noinst_LIBRARIES += libprocessor.a
libprocessor_a_SOURCES = \
	processor/chunk.h \
	processor/commit_job.c processor/commit_job.h \
	processor/convert.c processor/convert.h \
	processor/frame_builder.c processor/frame_builder.h \
	processor/inflate.c processor/inflate.h \
	processor/key_set.c processor/key_set.h \
	processor/lane.c processor/lane.h \
	processor/leftover.c processor/leftover.h \
	processor/metadata.c processor/metadata.h \
	processor/mp.c processor/mp.h \
	processor/name_table.c processor/name_table.h \
	processor/otlp_out.h \
	processor/otlp_value.c processor/otlp_value.h \
	processor/quarantine.c processor/quarantine.h \
	processor/record.c processor/record.h \
	processor/severity.c processor/severity.h \
	processor/timestamp.c processor/timestamp.h \
	processor/trace_context.c processor/trace_context.h

pkglibexec_PROGRAMS += processor/sluice-processor
processor_sluice_processor_SOURCES = \
	processor/committer.c processor/committer.h \
	processor/main.c \
	processor/stage.c processor/stage.h
processor_sluice_processor_LDADD = libprocessor.a libjournal.a libotlp.a $(LIBS_ROLE) \
	$(JSONC_LIBS) $(ISAL_LIBS) $(ZSTD_LIBS) $(XXHASH_LIBS) $(ZLIB_LIBS)

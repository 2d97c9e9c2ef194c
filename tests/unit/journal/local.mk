# Unit tests of journal: one program tests/unit/journal/test_x per module.
check_PROGRAMS += tests/unit/journal/test_cursor
tests_unit_journal_test_cursor_SOURCES = tests/unit/journal/test_cursor.c
tests_unit_journal_test_cursor_LDADD = libjournal.a libbase.a $(ISAL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/journal/test_disk_posix
tests_unit_journal_test_disk_posix_SOURCES = tests/unit/journal/test_disk_posix.c
tests_unit_journal_test_disk_posix_LDADD = libjournal.a libbase.a $(ISAL_LIBS) $(CMOCKA_LIBS)

# The journal on a simulated disk.
journal_rig = \
	tests/unit/journal/rig.c tests/unit/journal/rig.h \
	tests/sim/sim_disk.c tests/sim/sim_disk.h
journal_rig_libs = libjournal.a libipc.a libbase.a $(ISAL_LIBS) $(XXHASH_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/journal/test_recovery
tests_unit_journal_test_recovery_SOURCES = tests/unit/journal/test_recovery.c $(journal_rig)
tests_unit_journal_test_recovery_LDADD = $(journal_rig_libs)

check_PROGRAMS += tests/unit/journal/test_writer
tests_unit_journal_test_writer_SOURCES = tests/unit/journal/test_writer.c $(journal_rig)
tests_unit_journal_test_writer_LDADD = $(journal_rig_libs)

check_PROGRAMS += tests/unit/journal/test_reader
tests_unit_journal_test_reader_SOURCES = tests/unit/journal/test_reader.c $(journal_rig)
tests_unit_journal_test_reader_LDADD = $(journal_rig_libs)

check_PROGRAMS += tests/unit/journal/test_segment
tests_unit_journal_test_segment_SOURCES = tests/unit/journal/test_segment.c $(journal_rig)
tests_unit_journal_test_segment_LDADD = $(journal_rig_libs)

check_PROGRAMS += tests/unit/journal/test_resend_window
tests_unit_journal_test_resend_window_SOURCES = \
	tests/unit/journal/test_resend_window.c tests/sim/sim_disk.c
tests_unit_journal_test_resend_window_LDADD = $(journal_rig_libs)

check_PROGRAMS += tests/unit/journal/test_batch
tests_unit_journal_test_batch_SOURCES = tests/unit/journal/test_batch.c
tests_unit_journal_test_batch_LDADD = $(journal_rig_libs)

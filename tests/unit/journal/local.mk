# Unit tests of journal: one program tests/unit/journal/test_x per module.
check_PROGRAMS += tests/unit/journal/test_cursor
tests_unit_journal_test_cursor_SOURCES = tests/unit/journal/test_cursor.c
tests_unit_journal_test_cursor_LDADD = libjournal.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/journal/test_disk_posix
tests_unit_journal_test_disk_posix_SOURCES = tests/unit/journal/test_disk_posix.c
tests_unit_journal_test_disk_posix_LDADD = libjournal.a libbase.a $(CMOCKA_LIBS)

# shared/journal: libjournal.a.

noinst_LIBRARIES += libjournal.a
libjournal_a_SOURCES = \
	shared/journal/cursor.c shared/journal/cursor.h shared/journal/cursor_layout.h \
	shared/journal/disk.h shared/journal/disk_posix.c

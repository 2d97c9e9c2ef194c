# shared/journal: libjournal.a.

noinst_LIBRARIES += libjournal.a
libjournal_a_SOURCES = \
	shared/journal/batch.c shared/journal/batch.h \
	shared/journal/crc32c.h \
	shared/journal/cursor.c shared/journal/cursor.h shared/journal/cursor_layout.h \
	shared/journal/disk.h shared/journal/disk_posix.c \
	shared/journal/reader.c shared/journal/reader.h \
	shared/journal/recovery.c shared/journal/recovery.h \
	shared/journal/resend_window.c shared/journal/resend_window.h \
	shared/journal/segment.c shared/journal/segment.h shared/journal/segment_layout.h \
	shared/journal/writer.c shared/journal/writer.h

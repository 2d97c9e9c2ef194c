# shared/options: liboptions.a.

noinst_LIBRARIES += liboptions.a
liboptions_a_SOURCES = \
	shared/options/command_line.def \
	shared/options/option_report.c shared/options/option_report.h \
	shared/options/option_source.c shared/options/option_source.h \
	shared/options/option_table.c shared/options/option_table.h \
	shared/options/option_value.c shared/options/option_value.h \
	shared/options/options.c shared/options/options.h \
	shared/options/options.def \
	shared/options/options_check.c \
	shared/options/options_environment.c \
	shared/options/options_file.c \
	shared/options/options_internal.h \
	shared/options/options_snapshot.c
liboptions_a_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_CFLAGS)

# shared/options: liboptions.a, and the man pages that are made from its tables.

noinst_LIBRARIES += liboptions.a
liboptions_a_SOURCES = \
	shared/options/access.c shared/options/access.h \
	shared/options/command_line.def \
	shared/options/option_dump.c shared/options/option_dump.h \
	shared/options/option_group.c shared/options/option_group.h \
	shared/options/option_list.c shared/options/option_list.h \
	shared/options/option_list_json.c shared/options/option_list_json.h \
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

noinst_PROGRAMS += shared/options/option-generate
shared_options_option_generate_SOURCES = shared/options/option_generate.c
shared_options_option_generate_LDADD = liboptions.a libbase.a $(CONFIG_LIBS)

# A cross build cannot run the generator; its man pages come from a native one.
if !CROSS_COMPILING
man5_MANS += sluice.conf.5
man8_MANS += sluiced.8
CLEANFILES += sluice.conf.5 sluiced.8

sluice.conf.5 sluiced.8: shared/options/option-generate$(EXEEXT)
	$(AM_V_GEN)shared/options/option-generate$(EXEEXT) $@ >$@.tmp && mv $@.tmp $@
endif

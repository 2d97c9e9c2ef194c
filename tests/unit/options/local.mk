# Unit tests of options: one program tests/unit/options/test_x per module. loading.c is what those
# that read files share.

unit_options_libs = liboptions.a libbase.a $(CONFIG_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/options/test_access
tests_unit_options_test_access_SOURCES = tests/unit/options/test_access.c \
	tests/unit/options/loading.c tests/unit/options/loading.h
tests_unit_options_test_access_LDADD = $(unit_options_libs)

check_PROGRAMS += tests/unit/options/test_option_dump
tests_unit_options_test_option_dump_SOURCES = tests/unit/options/test_option_dump.c \
	tests/unit/options/loading.c tests/unit/options/loading.h
tests_unit_options_test_option_dump_LDADD = $(unit_options_libs)

check_PROGRAMS += tests/unit/options/test_option_list
tests_unit_options_test_option_list_SOURCES = tests/unit/options/test_option_list.c
tests_unit_options_test_option_list_LDADD = $(unit_options_libs)

check_PROGRAMS += tests/unit/options/test_option_source
tests_unit_options_test_option_source_SOURCES = tests/unit/options/test_option_source.c \
	tests/unit/options/loading.c tests/unit/options/loading.h
tests_unit_options_test_option_source_LDADD = $(unit_options_libs)

check_PROGRAMS += tests/unit/options/test_option_table
tests_unit_options_test_option_table_SOURCES = tests/unit/options/test_option_table.c
tests_unit_options_test_option_table_LDADD = $(unit_options_libs)

check_PROGRAMS += tests/unit/options/test_option_value
tests_unit_options_test_option_value_SOURCES = tests/unit/options/test_option_value.c
tests_unit_options_test_option_value_LDADD = $(unit_options_libs)

check_PROGRAMS += tests/unit/options/test_options
tests_unit_options_test_options_SOURCES = tests/unit/options/test_options.c \
	tests/unit/options/loading.c tests/unit/options/loading.h
tests_unit_options_test_options_LDADD = $(unit_options_libs)

check_PROGRAMS += tests/unit/options/test_options_check
tests_unit_options_test_options_check_SOURCES = tests/unit/options/test_options_check.c \
	tests/unit/options/loading.c tests/unit/options/loading.h
tests_unit_options_test_options_check_LDADD = $(unit_options_libs)

check_PROGRAMS += tests/unit/options/test_options_snapshot
tests_unit_options_test_options_snapshot_SOURCES = tests/unit/options/test_options_snapshot.c
tests_unit_options_test_options_snapshot_LDADD = $(unit_options_libs)

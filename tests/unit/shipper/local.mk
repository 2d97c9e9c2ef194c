# Unit tests of shipper: one program tests/unit/shipper/test_x per module.
check_PROGRAMS += tests/unit/shipper/test_verdict
tests_unit_shipper_test_verdict_SOURCES = tests/unit/shipper/test_verdict.c
tests_unit_shipper_test_verdict_LDADD = libshipper.a libbase.a $(JSONC_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_retry
tests_unit_shipper_test_retry_SOURCES = tests/unit/shipper/test_retry.c
tests_unit_shipper_test_retry_LDADD = libshipper.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_split
tests_unit_shipper_test_split_SOURCES = tests/unit/shipper/test_split.c
tests_unit_shipper_test_split_LDADD = libshipper.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_recode
tests_unit_shipper_test_recode_SOURCES = tests/unit/shipper/test_recode.c
tests_unit_shipper_test_recode_LDADD = $(LIBS_SHIPPER) $(CMOCKA_LIBS)

# Whole outputs, over real lanes in a temporary folder.
SHIPPER_FIXTURE = tests/unit/shipper/fixture.c tests/unit/shipper/fixture.h

check_PROGRAMS += tests/unit/shipper/test_output_http
tests_unit_shipper_test_output_http_SOURCES = \
	tests/unit/shipper/test_output_http.c $(SHIPPER_FIXTURE) \
	tests/unit/shipper/test_server.c tests/unit/shipper/test_server.h
tests_unit_shipper_test_output_http_LDADD = $(LIBS_SHIPPER) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_resolve_again
tests_unit_shipper_test_resolve_again_SOURCES = \
	tests/unit/shipper/test_resolve_again.c $(SHIPPER_FIXTURE) \
	tests/unit/shipper/test_server.c tests/unit/shipper/test_server.h
tests_unit_shipper_test_resolve_again_LDADD = $(LIBS_SHIPPER) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_output_file
tests_unit_shipper_test_output_file_SOURCES = \
	tests/unit/shipper/test_output_file.c $(SHIPPER_FIXTURE)
tests_unit_shipper_test_output_file_LDADD = $(LIBS_SHIPPER) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_source
tests_unit_shipper_test_source_SOURCES = tests/unit/shipper/test_source.c $(SHIPPER_FIXTURE)
tests_unit_shipper_test_source_LDADD = $(LIBS_SHIPPER) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_retention
tests_unit_shipper_test_retention_SOURCES = \
	tests/unit/shipper/test_retention.c $(SHIPPER_FIXTURE)
tests_unit_shipper_test_retention_LDADD = $(LIBS_SHIPPER) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_resolver
tests_unit_shipper_test_resolver_SOURCES = tests/unit/shipper/test_resolver.c
tests_unit_shipper_test_resolver_LDADD = $(LIBS_SHIPPER) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_lane_removal
tests_unit_shipper_test_lane_removal_SOURCES = \
	tests/unit/shipper/test_lane_removal.c $(SHIPPER_FIXTURE)
tests_unit_shipper_test_lane_removal_LDADD = $(LIBS_SHIPPER) $(CMOCKA_LIBS)

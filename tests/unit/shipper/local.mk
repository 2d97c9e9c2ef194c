# Unit tests of shipper: one program tests/unit/shipper/test_x per module.
check_PROGRAMS += tests/unit/shipper/test_verdict
tests_unit_shipper_test_verdict_SOURCES = \
	tests/unit/shipper/test_verdict.c shipper/verdict.c shipper/verdict.h
tests_unit_shipper_test_verdict_LDADD = libbase.a $(JSONC_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_retry
tests_unit_shipper_test_retry_SOURCES = \
	tests/unit/shipper/test_retry.c shipper/retry.c shipper/retry.h
tests_unit_shipper_test_retry_LDADD = $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/shipper/test_split
tests_unit_shipper_test_split_SOURCES = \
	tests/unit/shipper/test_split.c shipper/split.c shipper/split.h
tests_unit_shipper_test_split_LDADD = $(CMOCKA_LIBS)

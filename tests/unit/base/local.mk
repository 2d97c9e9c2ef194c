# Unit tests of base: one program tests/unit/base/test_x per module.

check_PROGRAMS += tests/unit/base/test_arena
tests_unit_base_test_arena_SOURCES = tests/unit/base/test_arena.c
tests_unit_base_test_arena_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base/test_buf
tests_unit_base_test_buf_SOURCES = tests/unit/base/test_buf.c
tests_unit_base_test_buf_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base/test_err
tests_unit_base_test_err_SOURCES = tests/unit/base/test_err.c
tests_unit_base_test_err_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base/test_fd
tests_unit_base_test_fd_SOURCES = tests/unit/base/test_fd.c
tests_unit_base_test_fd_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base/test_hash
tests_unit_base_test_hash_SOURCES = tests/unit/base/test_hash.c
tests_unit_base_test_hash_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base/test_log
tests_unit_base_test_log_SOURCES = tests/unit/base/test_log.c
tests_unit_base_test_log_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base/test_network
tests_unit_base_test_network_SOURCES = tests/unit/base/test_network.c
tests_unit_base_test_network_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base/test_num
tests_unit_base_test_num_SOURCES = tests/unit/base/test_num.c
tests_unit_base_test_num_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base/test_secret
tests_unit_base_test_secret_SOURCES = tests/unit/base/test_secret.c
tests_unit_base_test_secret_LDADD = libbase.a $(CMOCKA_LIBS)

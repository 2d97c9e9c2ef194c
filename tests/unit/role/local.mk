# Unit tests of role: one program tests/unit/role/test_x per module.

check_PROGRAMS += tests/unit/role/test_confine
tests_unit_role_test_confine_SOURCES = tests/unit/role/test_confine.c
tests_unit_role_test_confine_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_role_test_confine_LDADD = libsupervisor.a $(LIBS_ROLE) $(CMOCKA_LIBS)

# Unit tests of role: one program tests/unit/role/test_x per module.

check_PROGRAMS += tests/unit/role/test_confine
tests_unit_role_test_confine_SOURCES = tests/unit/role/test_confine.c
tests_unit_role_test_confine_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_role_test_confine_LDADD = libsupervisor.a $(LIBS_ROLE) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/role/test_role_config
tests_unit_role_test_role_config_SOURCES = tests/unit/role/test_role_config.c
tests_unit_role_test_role_config_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_role_test_role_config_LDADD = $(LIBS_ROLE) $(CMOCKA_LIBS)

# Unit tests of supervisor: one program tests/unit/supervisor/test_x per module.

# A stage that does what a test tells it; tests/e2e/test_supervisor.py runs sluiced with it.
noinst_PROGRAMS += tests/unit/supervisor/fake-role
tests_unit_supervisor_fake_role_SOURCES = tests/unit/supervisor/fake_role.c
tests_unit_supervisor_fake_role_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_fake_role_LDADD = $(LIBS_ROLE)

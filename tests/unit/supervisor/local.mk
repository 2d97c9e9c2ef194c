# Unit tests of supervisor: one program tests/unit/supervisor/test_x per module.

# A stage that does what a test tells it; tests/e2e/test_supervisor.py runs sluiced with it.
noinst_PROGRAMS += tests/unit/supervisor/fake-role
tests_unit_supervisor_fake_role_SOURCES = tests/unit/supervisor/fake_role.c
tests_unit_supervisor_fake_role_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_fake_role_LDADD = $(LIBS_ROLE)

check_PROGRAMS += \
	tests/unit/supervisor/test_restart_policy \
	tests/unit/supervisor/test_liveness \
	tests/unit/supervisor/test_child_exit \
	tests/unit/supervisor/test_control \
	tests/unit/supervisor/test_stage \
	tests/unit/supervisor/test_listeners \
	tests/unit/supervisor/test_oom \
	tests/unit/supervisor/test_data_dir \
	tests/unit/supervisor/test_spawn \
	tests/unit/supervisor/test_command_line
tests_unit_supervisor_test_restart_policy_SOURCES = tests/unit/supervisor/test_restart_policy.c
tests_unit_supervisor_test_restart_policy_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_restart_policy_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_liveness_SOURCES = tests/unit/supervisor/test_liveness.c
tests_unit_supervisor_test_liveness_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_liveness_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_child_exit_SOURCES = tests/unit/supervisor/test_child_exit.c
tests_unit_supervisor_test_child_exit_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_child_exit_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_control_SOURCES = tests/unit/supervisor/test_control.c
tests_unit_supervisor_test_control_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_control_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_stage_SOURCES = tests/unit/supervisor/test_stage.c
tests_unit_supervisor_test_stage_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_stage_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_listeners_SOURCES = tests/unit/supervisor/test_listeners.c
tests_unit_supervisor_test_listeners_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_listeners_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_data_dir_SOURCES = tests/unit/supervisor/test_data_dir.c
tests_unit_supervisor_test_data_dir_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_data_dir_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_spawn_SOURCES = tests/unit/supervisor/test_spawn.c
tests_unit_supervisor_test_spawn_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_spawn_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_command_line_SOURCES = tests/unit/supervisor/test_command_line.c
tests_unit_supervisor_test_command_line_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_command_line_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)
tests_unit_supervisor_test_oom_SOURCES = tests/unit/supervisor/test_oom.c
tests_unit_supervisor_test_oom_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_supervisor_test_oom_LDADD = $(LIBS_SUPERVISOR) $(CMOCKA_LIBS)

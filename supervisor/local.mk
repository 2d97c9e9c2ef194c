# supervisor: the daemon sluiced and the CLI sluicectl.

# Everything but main.c, for the unit tests too.
noinst_LIBRARIES += libsupervisor.a
libsupervisor_a_SOURCES = \
	supervisor/child.c supervisor/child.h \
	supervisor/child_exit.c supervisor/child_exit.h \
	supervisor/command_line.c supervisor/command_line.h \
	supervisor/control.c supervisor/control.h \
	supervisor/data_dir.c supervisor/data_dir.h \
	supervisor/listeners.c supervisor/listeners.h \
	supervisor/liveness.c supervisor/liveness.h \
	supervisor/notify.c supervisor/notify.h \
	supervisor/oom.c supervisor/oom.h \
	supervisor/proc_status.c supervisor/proc_status.h \
	supervisor/reaper.c supervisor/reaper.h \
	supervisor/reload.c supervisor/reload.h \
	supervisor/restart_policy.c supervisor/restart_policy.h \
	supervisor/restart_queue.c supervisor/restart_queue.h \
	supervisor/spawn.c supervisor/spawn.h \
	supervisor/stage.c supervisor/stage.h \
	supervisor/status_report.c supervisor/status_report.h \
	supervisor/supervisor.c supervisor/supervisor.h \
	supervisor/verbs.c supervisor/verbs.h \
	supervisor/wiring.c supervisor/wiring.h
libsupervisor_a_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(JSONC_CFLAGS)

LIBS_SUPERVISOR = libsupervisor.a $(LIBS_ROLE) $(JSONC_LIBS)

sbin_PROGRAMS += supervisor/sluiced
supervisor_sluiced_SOURCES = supervisor/main.c
supervisor_sluiced_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
supervisor_sluiced_LDADD = $(LIBS_SUPERVISOR)

bin_PROGRAMS += supervisor/ctl/sluicectl
supervisor_ctl_sluicectl_SOURCES = \
	supervisor/ctl/client.c supervisor/ctl/client.h \
	supervisor/ctl/main.c \
	supervisor/ctl/screen.c supervisor/ctl/screen.h
supervisor_ctl_sluicectl_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(JSONC_CFLAGS)
supervisor_ctl_sluicectl_LDADD = liboptions.a libbase.a $(CONFIG_LIBS) $(JSONC_LIBS)

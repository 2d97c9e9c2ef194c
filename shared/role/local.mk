# shared/role: librole.a.

noinst_LIBRARIES += librole.a
librole_a_SOURCES = \
	shared/role/confine.c shared/role/confine.h \
	shared/role/confine_seccomp.c shared/role/confine_seccomp.h \
	shared/role/confine_table.c shared/role/confine_table.h \
	shared/role/exit.h \
	shared/role/landlock.c shared/role/landlock.h \
	shared/role/role.c shared/role/role.h \
	shared/role/role_config.c shared/role/role_config.h \
	shared/role/role_log.c shared/role/role_log.h
librole_a_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(SECCOMP_CFLAGS) $(CAP_CFLAGS)

# What a stage links, in this order, behind its own libraries.
LIBS_ROLE = librole.a liboptions.a libipc.a libbase.a \
	$(SYSTEMD_LIBS) $(SECCOMP_LIBS) $(CAP_LIBS) $(CONFIG_LIBS)

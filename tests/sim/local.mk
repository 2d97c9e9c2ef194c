# tests/sim: the seeded simulation. `make check` runs its quick set; tests/sim/run runs for hours.
# Sources of the roles are compiled in: the sync thread and the clock are the simulation's own.
check_PROGRAMS += tests/sim/sim
tests_sim_sim_SOURCES = \
	tests/sim/sim.c tests/sim/sim.h \
	tests/sim/sim_clients.c \
	tests/sim/sim_clock.c \
	tests/sim/sim_committer.c \
	tests/sim/sim_disk.c tests/sim/sim_disk.h \
	tests/sim/sim_oracle.c \
	tests/sim/sim_processor.c \
	tests/sim/sim_receiver.c \
	tests/sim/sim_shipper.c \
	tests/sim/sim_trace.c \
	receiver/pending.c receiver/producer.c \
	shipper/parcel.c shipper/retention.c shipper/retry.c shipper/source.c
tests_sim_sim_LDADD = \
	liblane.a libconvert.a libjournal.a libotlp.a libipc.a libbase.a \
	$(JSONC_LIBS) $(ISAL_LIBS) $(ZSTD_LIBS) $(XXHASH_LIBS) $(ZLIB_LIBS) -lm

EXTRA_DIST += tests/sim/run

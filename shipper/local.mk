# shipper: the stage that delivers (sluice-shipper). All of it but main is a library, for the tests.
noinst_LIBRARIES += libshipper.a
libshipper_a_SOURCES = \
	shipper/parcel.c shipper/parcel.h \
	shipper/file_target.c shipper/file_target.h \
	shipper/frame_quarantine.c shipper/frame_quarantine.h \
	shipper/http_client.c shipper/http_client.h \
	shipper/lane_removal.c shipper/lane_removal.h \
	shipper/output.c shipper/output.h \
	shipper/output_file.c \
	shipper/output_http.c \
	shipper/recode.c shipper/recode.h \
	shipper/request.c shipper/request.h \
	shipper/resolver.c shipper/resolver.h \
	shipper/retention.c shipper/retention.h \
	shipper/retry.c shipper/retry.h \
	shipper/shipper.c shipper/shipper.h \
	shipper/source.c shipper/source.h \
	shipper/split.c shipper/split.h \
	shipper/verdict.c shipper/verdict.h
LIBS_SHIPPER = \
	libshipper.a libotlp.a libjournal.a $(LIBS_ROLE) \
	$(CURL_LIBS) $(JSONC_LIBS) $(ISAL_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS) -lm

libshipper_a_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS) $(JSONC_CFLAGS) $(SYSTEMD_CFLAGS)

pkglibexec_PROGRAMS += shipper/sluice-shipper
shipper_sluice_shipper_SOURCES = shipper/main.c
shipper_sluice_shipper_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
shipper_sluice_shipper_LDADD = $(LIBS_SHIPPER)

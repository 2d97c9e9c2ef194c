# Unit tests of receiver: one program tests/unit/receiver/test_x per module, and test_clients for all
# of them together.

check_PROGRAMS += tests/unit/receiver/test_forward_frame
tests_unit_receiver_test_forward_frame_SOURCES = tests/unit/receiver/test_forward_frame.c tests/unit/receiver/feed.h tests/unit/receiver/fixture.h
tests_unit_receiver_test_forward_frame_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFIXTURES='"$(abs_srcdir)/tests/unit/receiver/fixtures"'
tests_unit_receiver_test_forward_frame_LDADD = libreceiver.a libbase.a $(CRYPTO_LIBS) $(XXHASH_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/receiver/test_json_frame
tests_unit_receiver_test_json_frame_SOURCES = tests/unit/receiver/test_json_frame.c tests/unit/receiver/feed.h tests/unit/receiver/fixture.h
tests_unit_receiver_test_json_frame_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFIXTURES='"$(abs_srcdir)/tests/unit/receiver/fixtures"'
tests_unit_receiver_test_json_frame_LDADD = libreceiver.a libbase.a $(CRYPTO_LIBS) $(XXHASH_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/receiver/test_heartbeat
tests_unit_receiver_test_heartbeat_SOURCES = tests/unit/receiver/test_heartbeat.c
tests_unit_receiver_test_heartbeat_LDADD = libreceiver.a libbase.a $(CRYPTO_LIBS) $(XXHASH_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/receiver/test_handshake
tests_unit_receiver_test_handshake_SOURCES = tests/unit/receiver/test_handshake.c \
	tests/unit/receiver/access_of.h tests/unit/receiver/fixture.h
tests_unit_receiver_test_handshake_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFIXTURES='"$(abs_srcdir)/tests/unit/receiver/fixtures"'
tests_unit_receiver_test_handshake_LDADD = libreceiver.a liboptions.a libbase.a $(CONFIG_LIBS) $(CRYPTO_LIBS) $(XXHASH_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/receiver/test_pending
tests_unit_receiver_test_pending_SOURCES = tests/unit/receiver/test_pending.c
tests_unit_receiver_test_pending_LDADD = libreceiver.a libbase.a $(CRYPTO_LIBS) $(XXHASH_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/receiver/test_memory
tests_unit_receiver_test_memory_SOURCES = tests/unit/receiver/test_memory.c
tests_unit_receiver_test_memory_LDADD = libreceiver.a libbase.a $(CRYPTO_LIBS) $(XXHASH_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/receiver/test_clients
tests_unit_receiver_test_clients_SOURCES = tests/unit/receiver/test_clients.c \
	tests/unit/receiver/access_of.h tests/unit/receiver/fixture.h
tests_unit_receiver_test_clients_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFIXTURES='"$(abs_srcdir)/tests/unit/receiver/fixtures"'
tests_unit_receiver_test_clients_LDADD = libreceiver.a liboptions.a libipc.a libbase.a $(CONFIG_LIBS) $(CRYPTO_LIBS) $(XXHASH_LIBS) $(CMOCKA_LIBS)

EXTRA_DIST += \
	tests/unit/receiver/fixtures/index \
	tests/unit/receiver/fixtures/make_index.py \
	tests/unit/receiver/fixtures/json/index \
	tests/unit/receiver/fixtures/json/make_index.py \
	tests/unit/receiver/fixtures/json/go-json-ack.bin \
	tests/unit/receiver/fixtures/json/go-json.bin \
	tests/unit/receiver/fixtures/json/made.bin \
	tests/unit/receiver/fixtures/fcat-none.bin \
	tests/unit/receiver/fixtures/fcat-old-time.bin \
	tests/unit/receiver/fixtures/fd-ack.1.bin \
	tests/unit/receiver/fixtures/fd-default.2.bin \
	tests/unit/receiver/fixtures/fd-default.5.bin \
	tests/unit/receiver/fixtures/fd-gzip-ack.bin \
	tests/unit/receiver/fixtures/fd-heartbeat-empty.bin \
	tests/unit/receiver/fixtures/fd-heartbeat-sharedkey.1.bin \
	tests/unit/receiver/fixtures/fd-keepalive.bin \
	tests/unit/receiver/fixtures/fd-raw.bin \
	tests/unit/receiver/fixtures/fd-resend.1.bin \
	tests/unit/receiver/fixtures/fd-sharedkey-user.1.bin \
	tests/unit/receiver/fixtures/fd19-zstd-ack.bin \
	tests/unit/receiver/fixtures/flb-ack-meta-off.bin \
	tests/unit/receiver/fixtures/flb-dyntag-ack.bin \
	tests/unit/receiver/fixtures/flb-fleet.bin \
	tests/unit/receiver/fixtures/flb-gzip-ack-meta-off.bin \
	tests/unit/receiver/fixtures/flb-meta-off.bin \
	tests/unit/receiver/fixtures/flb-metadata-gzip.bin \
	tests/unit/receiver/fixtures/flb-metadata.bin \
	tests/unit/receiver/fixtures/flb-metrics-gzip-ack.bin \
	tests/unit/receiver/fixtures/flb-odd-times.bin \
	tests/unit/receiver/fixtures/flb-otlp-groups-gzip-ack.bin \
	tests/unit/receiver/fixtures/flb-raw.bin \
	tests/unit/receiver/fixtures/flb-resend-close.1.bin \
	tests/unit/receiver/fixtures/flb-same-chunk-twice.bin \
	tests/unit/receiver/fixtures/flb-same-chunk.bin \
	tests/unit/receiver/fixtures/flb-send-options.bin \
	tests/unit/receiver/fixtures/flb-sharedkey-user.bin \
	tests/unit/receiver/fixtures/flb-sharedkey.bin \
	tests/unit/receiver/fixtures/flb-time-int-ack.bin \
	tests/unit/receiver/fixtures/flb-traces.bin \
	tests/unit/receiver/fixtures/go-ack.bin \
	tests/unit/receiver/fixtures/go-chunk-left.bin \
	tests/unit/receiver/fixtures/go-chunk-right.bin \
	tests/unit/receiver/fixtures/go-docker.bin \
	tests/unit/receiver/fixtures/go-resend.2.bin \
	tests/unit/receiver/fixtures/node-forward-ack.bin \
	tests/unit/receiver/fixtures/node-gzip-ack.bin \
	tests/unit/receiver/fixtures/node-jsvalues.bin \
	tests/unit/receiver/fixtures/node-message-ack.bin \
	tests/unit/receiver/fixtures/node-packed-ms-ack.bin \
	tests/unit/receiver/fixtures/node-sharedkey.bin \
	tests/unit/receiver/fixtures/old-eventtime.bin \
	tests/unit/receiver/fixtures/old-ms.bin \
	tests/unit/receiver/fixtures/old-packed.bin \
	tests/unit/receiver/fixtures/py-nano-async.bin \
	tests/unit/receiver/fixtures/malformed/data-before-ping.bin \
	tests/unit/receiver/fixtures/malformed/deep-nesting.bin \
	tests/unit/receiver/fixtures/malformed/ext-unknown.bin \
	tests/unit/receiver/fixtures/malformed/gzip-bad-crc.bin \
	tests/unit/receiver/fixtures/malformed/gzip-not-gzip.bin \
	tests/unit/receiver/fixtures/malformed/http-request.bin \
	tests/unit/receiver/fixtures/malformed/huge-array32.bin \
	tests/unit/receiver/fixtures/malformed/huge-bin32.bin \
	tests/unit/receiver/fixtures/malformed/huge-map32.bin \
	tests/unit/receiver/fixtures/malformed/huge-str32.bin \
	tests/unit/receiver/fixtures/malformed/json-not-forward.bin \
	tests/unit/receiver/fixtures/malformed/option-not-a-map.bin \
	tests/unit/receiver/fixtures/malformed/option-odd-values.bin \
	tests/unit/receiver/fixtures/malformed/packed-cut-entry.bin \
	tests/unit/receiver/fixtures/malformed/ping-extra.bin \
	tests/unit/receiver/fixtures/malformed/ping-short.bin \
	tests/unit/receiver/fixtures/malformed/ping-wrong-digest.bin \
	tests/unit/receiver/fixtures/malformed/reserved-c1.bin \
	tests/unit/receiver/fixtures/malformed/tag-empty.bin \
	tests/unit/receiver/fixtures/malformed/time-odd.bin \
	tests/unit/receiver/fixtures/malformed/tls-clienthello.bin \
	tests/unit/receiver/fixtures/malformed/truncated-packed.bin \
	tests/unit/receiver/fixtures/malformed/truncated-record.bin \
	tests/unit/receiver/fixtures/malformed/truncated-tag.bin \
	tests/unit/receiver/fixtures/malformed/utf8-tag-and-keys.bin \
	tests/unit/receiver/fixtures/malformed/wrong-entries.bin \
	tests/unit/receiver/fixtures/malformed/wrong-metadata.bin \
	tests/unit/receiver/fixtures/malformed/wrong-record.bin \
	tests/unit/receiver/fixtures/malformed/wrong-tag.bin \
	tests/unit/receiver/fixtures/malformed/wrong-time.bin \
	tests/unit/receiver/fixtures/malformed/wrong-toplevel.bin \
	tests/unit/receiver/fixtures/malformed/zstd-window-and-cut.bin

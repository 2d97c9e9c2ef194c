# tests/fuzz: libFuzzer targets. tests/fuzz/run builds them with clang, outside of this build.
EXTRA_DIST += \
	packages.fuzz \
	tests/fuzz/fuzz.h \
	tests/fuzz/fuzz_convert.c \
	tests/fuzz/fuzz_fields.c \
	tests/fuzz/fuzz_forward_frame.c \
	tests/fuzz/fuzz_handshake.c \
	tests/fuzz/fuzz_json.c \
	tests/fuzz/fuzz_json_frame.c \
	tests/fuzz/fuzz_option_list.c \
	tests/fuzz/fuzz_options.c \
	tests/fuzz/fuzz_recovery.c \
	tests/fuzz/fuzz_text.c \
	tests/fuzz/fuzz_transcode.c \
	tests/fuzz/run

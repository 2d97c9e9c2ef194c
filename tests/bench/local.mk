# tests/bench: programs of `make bench` (EXTRA_PROGRAMS and bench_programs).

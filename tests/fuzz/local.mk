# tests/fuzz: fuzz targets (EXTRA_PROGRAMS and fuzz_programs).

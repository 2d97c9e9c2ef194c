# tests/sim: the seeded simulation (check_PROGRAMS).

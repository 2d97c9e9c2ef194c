# tests/lint: scripts that ./check runs; only distributed.

# tests/lint: the lints that ./check runs. They look at the whole repository, so `make check` of a
# distribution leaves them out.

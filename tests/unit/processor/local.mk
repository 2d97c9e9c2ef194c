# Unit tests of processor: one program tests/unit/processor/test_x per module.

# Unit tests of otlp: one program tests/unit/otlp/test_x per module.

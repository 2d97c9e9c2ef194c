# shared/otlp: libotlp.a.

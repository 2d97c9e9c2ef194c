# shared/base: libbase.a.

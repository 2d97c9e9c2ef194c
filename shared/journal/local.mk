# shared/journal: libjournal.a.

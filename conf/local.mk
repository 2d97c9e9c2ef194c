# conf: what is installed as configuration. An existing file is never overwritten: it is the
# operator's. The shipped one goes beside it as sluice.conf.example.
EXTRA_DIST += conf/sluice.conf conf/quickstart.conf

install-data-hook:
	$(MKDIR_P) "$(DESTDIR)$(sluiceconfdir)"
	$(INSTALL_DATA) $(srcdir)/conf/sluice.conf "$(DESTDIR)$(sluiceconfdir)/sluice.conf.example"
	test -e "$(DESTDIR)$(sluiceconfdir)/sluice.conf" || \
		$(INSTALL_DATA) $(srcdir)/conf/sluice.conf "$(DESTDIR)$(sluiceconfdir)/sluice.conf"

uninstall-hook:
	rm -f "$(DESTDIR)$(sluiceconfdir)/sluice.conf.example"
	cmp -s $(srcdir)/conf/sluice.conf "$(DESTDIR)$(sluiceconfdir)/sluice.conf" && \
		rm -f "$(DESTDIR)$(sluiceconfdir)/sluice.conf" || true
	rmdir "$(DESTDIR)$(sluiceconfdir)" 2>/dev/null || true

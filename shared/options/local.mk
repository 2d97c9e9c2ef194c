# shared/options: liboptions.a.

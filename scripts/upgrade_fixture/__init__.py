"""What scripts/make-upgrade-fixture is made of."""

"""Rules that history can show, checked on all of its records at once."""

"""What each library runs; every module is imported in the environment of its library only."""
